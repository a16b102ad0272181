// Package artifact stores files by what is in them: the SHA-256 of the bytes
// is the name, so that equal files are stored once and a damaged file is found
// out when it is read.
package artifact

import (
	"context"
	"io"
)

// Store keeps immutable blobs by digest. Implementations are safe for
// concurrent use, by several processes too.
type Store interface {
	// Put stores what r yields and returns its digest, 64 lower-case hex digits,
	// and its size in bytes. When Put returns, the blob is durable; when it fails,
	// nothing partial is visible. Errors: Unavailable (disk full, no right to write).
	Put(ctx context.Context, r io.Reader) (digest string, size int64, err error)
	// Get opens the blob. Reading it to the end reports Corrupt when the bytes do
	// not have the digest. Errors: NotFound; Invalid for a malformed digest.
	Get(ctx context.Context, digest string) (io.ReadCloser, error)
}
