package artifact

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrNotFound    = fault.NotFound
	ErrInvalid     = fault.Invalid
	ErrUnavailable = fault.Unavailable
	ErrUnsupported = fault.Unsupported
	ErrCorrupt     = fault.Corrupt
)

// Store keeps immutable blobs by digest: 64 lower-case hex digits, the SHA-256
// of the bytes. Implementations are safe for concurrent use, by several
// processes too, and embed UnimplementedStore.
//
// A digest that is malformed is Invalid everywhere. A context that is done ends
// every call, and the reading of what Get and GetRange opened may end with it.
type Store interface {
	// Put stores what r yields and returns its digest and its size in bytes. When
	// Put returns, the blob is durable; when it fails, nothing partial is visible.
	// The ModTime of a blob that was there becomes now. Errors: Corrupt when the
	// digest is not the one that opts expect, and nothing is stored; Unavailable
	// (disk full, no right to write); r's own.
	Put(ctx context.Context, r io.Reader, opts *PutOptions) (digest string, size int64, err error)

	// Get opens the blob. Reading it to the end reports Corrupt when the bytes do
	// not have the digest. A blob that is deleted while it is read is read to its
	// end all the same, within the time that the store names. Errors: NotFound.
	Get(ctx context.Context, digest string) (io.ReadCloser, error)

	// GetRange opens length bytes of the blob from offset, or as many as there
	// are; a length of -1 means all that follow. Only these bytes are read, so they
	// are not compared with the digest. Errors: NotFound; Invalid for an offset that
	// is negative or beyond the blob's end, or for another negative length.
	GetRange(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error)

	// Stat describes the blob, whose bytes it does not read. Errors: NotFound.
	Stat(ctx context.Context, digest string) (Info, error)

	// List yields all blobs by digest. One that is put or deleted meanwhile may be
	// among them or not. It ends with the first error.
	List(ctx context.Context) iter.Seq2[Info, error]

	// Delete removes the blob. One that is not there is no error.
	Delete(ctx context.Context, digest string) error

	// Expire removes the blob if its ModTime is before the time, and reports
	// whether it did. It is for collecting garbage: what a Put that began after
	// that time stored is never removed, whoever runs first.
	Expire(ctx context.Context, digest string, before time.Time) (removed bool, err error)

	mustEmbedUnimplementedStore()
}

// PutOptions say more about a blob that is put. The zero value of each field is
// its default.
type PutOptions struct {
	Digest string // what the bytes must have; "": any
}

// check returns the expected digest, or "".
func (o *PutOptions) check() (string, error) {
	if o == nil || o.Digest == "" {
		return "", nil
	}
	return o.Digest, blob.CheckDigest(o.Digest)
}

// Info describes a blob.
type Info struct {
	Digest  string
	Size    int64     // bytes
	ModTime time.Time // of the last Put of these bytes, UTC, to the millisecond
}
