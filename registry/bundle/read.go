package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
)

// What Read keeps in memory: files that are small, until they are much together.
const (
	smallFile   = 1 << 20  // bytes
	smallMemory = 16 << 20 // bytes of all of them
)

// Source is where the files of a bundle lie.
type Source struct {
	// Open opens the bytes of a file. It is called for as long as the bundle is in
	// use, by several goroutines at once.
	Open func(ctx context.Context, f File) (io.ReadCloser, error)
	// Verified says that what Open yields has the digest f.Digest, so that it is
	// not hashed once more.
	Verified bool
}

// Read puts a bundle together from the bytes of its manifest.json and its other
// files. Files of up to 1 MiB, of 16 MiB together, are read and verified at once;
// each larger one is opened, to see that it is there, and is verified whenever it
// is read. An error of the source is reported with the file's path and keeps its
// kind, but for NotFound, which turns into Corrupt: it is the bundle that lacks a
// file. Other errors are those of OpenFS.
func Read(ctx context.Context, manifest []byte, source Source) (*Bundle, error) {
	b, err := read(ctx, manifest, source)
	if err != nil {
		return nil, fmt.Errorf("bundle: read: %w", err)
	}
	return b, nil
}

func read(ctx context.Context, encoded []byte, source Source) (*Bundle, error) {
	m, err := parseManifest(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	b := &Bundle{manifest: m, encoded: bytes.Clone(encoded), digest: digestOf(encoded), parts: map[string][]byte{}, source: source}
	left := int64(smallMemory)
	for _, f := range m.Files {
		if f.Size > smallFile || f.Size > left {
			err = b.look(ctx, f)
		} else {
			left -= f.Size
			b.parts[f.Path], err = b.readStored(ctx, f)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(b.parts) == len(m.Files) {
		b.source = Source{} // which may go
	}
	return b, nil
}

// look opens a file and closes it again.
func (b *Bundle) look(ctx context.Context, f File) error {
	r, err := b.openStored(ctx, f)
	if err != nil {
		return err
	}
	return r.Close()
}

// openStored opens a file at the source; reading it to the end verifies it.
func (b *Bundle) openStored(ctx context.Context, f File) (*verifier, error) {
	r, err := b.source.Open(ctx, f)
	switch {
	case errors.Is(err, fault.NotFound):
		return nil, fault.Errorf(fault.Corrupt, "%s is missing: restore it (%v)", f.Path, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return newVerifier(r, f, b.source.Verified), nil
}

// readStored reads a file at the source whole, and verifies it. It believes the
// size only as far as the bytes come.
func (b *Bundle) readStored(ctx context.Context, f File) ([]byte, error) {
	const trusted = 32 << 20 // allocated at once
	r, err := b.openStored(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // opened for reading
	data := make([]byte, min(f.Size, trusted))
	if _, err := io.ReadFull(r, data); err != nil && err != io.EOF {
		return nil, err
	}
	if f.Size > trusted {
		all := make([]byte, f.Size)
		copy(all, data)
		data = all
		if _, err := io.ReadFull(r, data[trusted:]); err != nil {
			return nil, err
		}
	}
	// The verdict comes with the end.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	return data, nil
}

// Verify reads every file that is not in memory, and verifies it. Errors:
// Corrupt, naming the file; those of the source.
func (b *Bundle) Verify(ctx context.Context) error {
	for _, f := range b.manifest.Files {
		if _, ok := b.parts[f.Path]; ok {
			continue
		}
		r, err := b.openStored(ctx, f)
		if err == nil {
			_, err = io.Copy(io.Discard, withContext(ctx, r))
			_ = r.Close() // opened for reading
		}
		if err != nil {
			return fmt.Errorf("bundle: verify: %w", err)
		}
	}
	return nil
}

// InMemory returns the same bundle with all its files read, verified and held
// in memory, so that it no longer needs the place that it came from. Errors:
// Corrupt, naming the file; those of the source.
func (b *Bundle) InMemory(ctx context.Context) (*Bundle, error) {
	all := &Bundle{manifest: b.manifest, encoded: b.encoded, digest: b.digest, parts: make(map[string][]byte, len(b.manifest.Files))}
	for _, f := range b.manifest.Files {
		data, ok := b.parts[f.Path]
		if !ok {
			var err error
			if data, err = b.readStored(ctx, f); err != nil {
				return nil, fmt.Errorf("bundle: read: %w", err)
			}
		}
		all.parts[f.Path] = data
	}
	return all, nil
}

// withContext returns r, which stops when ctx is done.
func withContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context // of the one call that copies
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
