package tracking

import (
	"context"
	"fmt"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// LogArtifact stores a file under the path of the run; the last one of a path
// counts. When it returns, the file is durable.
//
// Errors: Invalid for a path that is not relative, slash-separated and clean;
// Unsupported when Options.Artifacts is nil; Conflict when Finish or Fail was
// called before it returns; Closed; Unavailable, such as a full disk.
func (r *Run) LogArtifact(ctx context.Context, path string, content io.Reader) error {
	if r == nil {
		return nil
	}
	if err := r.logArtifact(ctx, path, content); err != nil {
		return fmt.Errorf("tracking: log artifact %q of run %s: %w", path, r.info.ID, err)
	}
	return nil
}

func (r *Run) logArtifact(ctx context.Context, path string, content io.Reader) error {
	if err := checkArtifactPath(path); err != nil {
		return err
	}
	if content == nil {
		return fault.Errorf(ErrInvalid, "the reader is nil")
	}
	if err := r.takesFiles(); err != nil {
		return err
	}
	digest, size, err := r.client.artifacts.Put(ctx, content, nil)
	if err != nil {
		return err
	}
	return r.alone(ctx, func(ctx context.Context) error { // so that no end comes between
		if err := r.takesFiles(); err != nil {
			return err
		}
		return r.client.store.Log(ctx, r.info.ID, Batch{Artifacts: []Artifact{{Path: path, Digest: digest, Size: size}}})
	})
}

func (r *Run) takesFiles() error {
	r.mu.Lock()
	ending := r.ending
	r.mu.Unlock()
	if err := r.client.checkOpen(); err != nil {
		return err
	}
	if ending {
		return fault.Errorf(ErrConflict, "the run has ended")
	}
	return nil
}

// Artifact opens a file of the run; see Client.Artifact.
func (r *Run) Artifact(ctx context.Context, path string) (io.ReadCloser, error) {
	if r == nil {
		return nil, fault.Errorf(ErrNotFound, "tracking: get artifact %q: the run is not tracked", path)
	}
	return r.client.Artifact(ctx, r.info.ID, path)
}

// Artifact opens a file of a run. Reading it to its end reports Corrupt when
// the bytes are not those that were stored. Errors: NotFound for the run or the
// path; Unsupported when Options.Artifacts is nil.
func (c *Client) Artifact(ctx context.Context, runID, path string) (io.ReadCloser, error) {
	content, err := c.artifact(ctx, runID, path)
	if err != nil {
		return nil, fmt.Errorf("tracking: get artifact %q of run %s: %w", path, runID, err)
	}
	return content, nil
}

func (c *Client) artifact(ctx context.Context, runID, path string) (io.ReadCloser, error) {
	if err := c.checkOpen(); err != nil {
		return nil, err
	}
	if err := CheckText(runID, path); err != nil {
		return nil, err
	}
	run, err := c.store.Run(ctx, runID)
	if err != nil {
		return nil, err
	}
	for _, a := range run.Artifacts {
		if a.Path == path {
			return c.artifacts.Get(ctx, a.Digest)
		}
	}
	return nil, fault.Errorf(ErrNotFound, "the run has no such artifact")
}

// noArtifacts stands in when a client has no artifact store.
type noArtifacts struct{ artifact.UnimplementedStore }

func (noArtifacts) Put(context.Context, io.Reader, *artifact.PutOptions) (string, int64, error) {
	return "", 0, errNoArtifacts()
}

func (noArtifacts) Get(context.Context, string) (io.ReadCloser, error) {
	return nil, errNoArtifacts()
}

func errNoArtifacts() error {
	return fault.Errorf(ErrUnsupported, "the client has no artifact store: set tracking.Options.Artifacts")
}
