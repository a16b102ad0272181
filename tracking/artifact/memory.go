package artifact

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
)

// Memory returns a store that keeps blobs in memory, for tests. It is safe for
// concurrent use.
func Memory() Store { return &memory{blobs: map[string][]byte{}} }

type memory struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

func (m *memory) Put(ctx context.Context, r io.Reader) (string, int64, error) {
	var b bytes.Buffer
	digest, size, err := copyBlob(ctx, &b, r, func(err error) error { return err })
	if err != nil {
		return "", 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[digest] = b.Bytes()
	return digest, size, nil
}

func (m *memory) Get(ctx context.Context, digest string) (io.ReadCloser, error) {
	if err := checkDigest(digest); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[digest]
	if !ok {
		return nil, fault.Errorf(ErrNotFound, "blob %s: not found", digest)
	}
	return verify(io.NopCloser(bytes.NewReader(b)), digest), nil
}
