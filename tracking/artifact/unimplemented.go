package artifact

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// UnimplementedStore answers every call with Unsupported. Backends embed it, so
// that Store can grow. It is safe for concurrent use.
type UnimplementedStore struct{}

var _ Store = UnimplementedStore{}

func unsupported(what string) error {
	return fault.Errorf(ErrUnsupported, "%s: unsupported by this artifact store", what)
}

// Put is Unsupported.
func (UnimplementedStore) Put(context.Context, io.Reader, *PutOptions) (string, int64, error) {
	return "", 0, unsupported("put")
}

// Get is Unsupported.
func (UnimplementedStore) Get(context.Context, string) (io.ReadCloser, error) {
	return nil, unsupported("get")
}

// GetRange is Unsupported.
func (UnimplementedStore) GetRange(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, unsupported("get a range")
}

// Stat is Unsupported.
func (UnimplementedStore) Stat(context.Context, string) (Info, error) {
	return Info{}, unsupported("stat")
}

// List is Unsupported.
func (UnimplementedStore) List(context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) { yield(Info{}, unsupported("list")) }
}

// Delete is Unsupported.
func (UnimplementedStore) Delete(context.Context, string) error { return unsupported("delete") }

// Expire is Unsupported.
func (UnimplementedStore) Expire(context.Context, string, time.Time) (bool, error) {
	return false, unsupported("expire")
}

func (UnimplementedStore) mustEmbedUnimplementedStore() {}
