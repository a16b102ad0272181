package artifact

import (
	"bytes"
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
)

// Memory returns a store that keeps blobs in memory, for tests. What is being
// read stays readable when it is deleted. It is safe for concurrent use.
func Memory() Store { return &memory{blobs: map[string]held{}} }

type memory struct {
	UnimplementedStore
	mu    sync.Mutex
	blobs map[string]held
}

// held never changes, so that readers need no lock.
type held struct {
	info    Info
	content []byte
}

func (m *memory) Put(ctx context.Context, r io.Reader, opts *PutOptions) (string, int64, error) {
	want, err := opts.check()
	if err != nil {
		return "", 0, err
	}
	var b bytes.Buffer
	digest, size, err := blob.Copy(ctx, &b, r, func(err error) error { return err })
	if err == nil {
		err = blob.Expect(want, digest)
	}
	if err != nil {
		return "", 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[digest] = held{info: Info{Digest: digest, Size: size, ModTime: blob.Millis(time.Now())}, content: b.Bytes()}
	return digest, size, nil
}

func (m *memory) get(ctx context.Context, digest string) (held, error) {
	if err := blob.Check(ctx, digest); err != nil {
		return held{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[digest]
	if !ok {
		return held{}, fault.Errorf(ErrNotFound, "blob %s: not found", digest)
	}
	return b, nil
}

func (m *memory) Get(ctx context.Context, digest string) (io.ReadCloser, error) {
	b, err := m.get(ctx, digest)
	if err != nil {
		return nil, err
	}
	return blob.Verify(io.NopCloser(bytes.NewReader(b.content)), digest), nil
}

func (m *memory) GetRange(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
	b, err := m.get(ctx, digest)
	if err != nil {
		return nil, err
	}
	length, err = blob.Clip(b.info.Size, offset, length)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(b.content[offset : offset+length])), nil
}

func (m *memory) Stat(ctx context.Context, digest string) (Info, error) {
	b, err := m.get(ctx, digest)
	return b.info, err
}

func (m *memory) List(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		m.mu.Lock()
		blobs := maps.Clone(m.blobs)
		m.mu.Unlock()
		for _, digest := range slices.Sorted(maps.Keys(blobs)) {
			if err := ctx.Err(); err != nil {
				yield(Info{}, err)
				return
			}
			if !yield(blobs[digest].info, nil) {
				return
			}
		}
	}
}

func (m *memory) Delete(ctx context.Context, digest string) error {
	if err := blob.Check(ctx, digest); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, digest)
	return nil
}

func (m *memory) Expire(ctx context.Context, digest string, before time.Time) (bool, error) {
	if err := blob.Check(ctx, digest); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[digest]
	if !ok || !b.info.ModTime.Before(blob.Millis(before)) {
		return false, nil
	}
	delete(m.blobs, digest)
	return true, nil
}
