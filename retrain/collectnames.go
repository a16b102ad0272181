package retrain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking"
)

// archiveRejected archives rejected versions that are older than they may get
// with their bundles, and finds those that were archived so before.
func (c *collection) archiveRejected(ctx context.Context) error {
	c.removed = make(map[versionName]bool)
	for model, busy := range c.busy {
		aliased, err := c.aliased(ctx, model)
		if err != nil {
			return err
		}
		archived := false
		var due []int64
		for v, err := range c.models.Versions(ctx, model) {
			if err != nil {
				return err
			}
			archived = archived || v.State == registry.Archived
			age := c.opts.Now.Sub(v.CreatedAt)
			if v.State == registry.Rejected && c.opts.Rejected > 0 && age > c.opts.Rejected && !busy[v.Number] && !aliased[v.Number] {
				due = append(due, v.Number)
			}
		}
		if archived {
			if err := c.findArchived(ctx, model); err != nil {
				return err
			}
		}
		for _, number := range due {
			if err := c.archive(ctx, versionName{model, number}); err != nil {
				return err
			}
		}
	}
	return nil
}

// archive archives the version, unless somebody has decided otherwise meanwhile.
func (c *collection) archive(ctx context.Context, v versionName) error {
	err := c.models.SetState(ctx, v.model, v.number, registry.Rejected, registry.Archived, registry.Change{
		Actor: CollectActor, Reason: fmt.Sprintf("rejected, and older than %s: its bundle is removed", c.opts.Rejected),
	})
	if errors.Is(err, ErrConflict) {
		return nil
	}
	if err == nil {
		c.removed[v] = true
		c.report.Bundles++
	}
	return err
}

// aliased are the versions that aliases name.
func (c *collection) aliased(ctx context.Context, model string) (map[int64]bool, error) {
	named := make(map[int64]bool)
	for a, err := range c.models.Aliases(ctx, model) {
		if err != nil {
			return nil, err
		}
		named[a.Version] = true
	}
	return named, nil
}

// findArchived finds the versions that the collector archived, as the model's
// trail tells: those that a person archived keep their bundles.
func (c *collection) findArchived(ctx context.Context, model string) error {
	for e, err := range c.models.Events(ctx, model, 0) {
		if err != nil {
			return err
		}
		if e.Kind == registry.VersionState {
			c.removed[versionName{model, e.Version}] = e.To == string(registry.Archived) && e.Actor == CollectActor
		}
	}
	return nil
}

// named yields the digest of every artifact that is named, some several times.
func (c *collection) named(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for digest, err := range runArtifacts(ctx, c.stores.Tracking) {
			if !yield(digest, err) || err != nil {
				return
			}
		}
		for digest, err := range c.bundles(ctx) {
			if !yield(digest, err) || err != nil {
				return
			}
		}
	}
}

// artifactLister is a tracking.Store that knows a shorter way to the names of
// all runs' files than all runs.
type artifactLister interface {
	ArtifactDigests(ctx context.Context) iter.Seq2[string, error]
}

// runArtifacts yields the digests of all runs' files.
func runArtifacts(ctx context.Context, s tracking.Store) iter.Seq2[string, error] {
	if l, ok := s.(artifactLister); ok {
		return l.ArtifactDigests(ctx)
	}
	return func(yield func(string, error) bool) {
		for q := (tracking.RunQuery{}); ; {
			runs, next, err := s.Runs(ctx, q)
			if err != nil {
				yield("", err)
				return
			}
			for _, r := range runs {
				for _, a := range r.Artifacts {
					if !yield(a.Digest, nil) {
						return
					}
				}
			}
			if q.Page = next; next == "" {
				return
			}
		}
	}
}

// bundles yields the digests of all versions' manifests and files.
func (c *collection) bundles(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for m, err := range c.models.Models(ctx) {
			if err != nil {
				yield("", err)
				return
			}
			for v, err := range c.models.Versions(ctx, m.Name) {
				if err != nil {
					yield("", err)
					return
				}
				if c.removed[versionName{m.Name, v.Number}] && v.State == registry.Archived {
					continue
				}
				files, err := c.filesOf(ctx, v)
				if err != nil {
					yield("", err)
					return
				}
				for _, digest := range append(files, v.Digest) {
					if !yield(digest, nil) {
						return
					}
				}
			}
		}
	}
}

// filesOf are the digests of the files in the version's bundle.
func (c *collection) filesOf(ctx context.Context, v registry.Version) ([]string, error) {
	raw, err := readBlob(ctx, c.stores, v.Digest)
	var m bundle.Manifest
	if err == nil {
		m, err = bundle.ParseManifest(raw)
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil, fault.Errorf(fault.Corrupt, "%s: the manifest of its bundle, artifact %s, cannot be read, so that nobody knows which files it names; no artifact was removed: restore it from a backup, or reject the version: %w",
			registry.VersionRef(v.Model, v.Number), v.Digest, err)
	}
	if err != nil {
		return nil, err
	}
	files := make([]string, len(m.Files))
	for i, f := range m.Files {
		files[i] = f.Digest
	}
	return files, nil
}

func readBlob(ctx context.Context, s *Stores, digest string) ([]byte, error) {
	r, err := s.Artifacts.Get(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // opened for reading
	return io.ReadAll(io.LimitReader(r, bundle.MaxManifestSize+1))
}
