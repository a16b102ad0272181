package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrNotFound    = fault.NotFound
	ErrInvalid     = fault.Invalid
	ErrUnavailable = fault.Unavailable
	ErrCorrupt     = fault.Corrupt
)

// Store keeps immutable blobs by digest. Implementations are safe for
// concurrent use, by several processes too.
type Store interface {
	// Put stores what r yields and returns its digest, 64 lower-case hex digits,
	// and its size in bytes. When Put returns, the blob is durable; when it fails,
	// nothing partial is visible. Errors: Unavailable (disk full, no right to
	// write); r's own.
	Put(ctx context.Context, r io.Reader) (digest string, size int64, err error)
	// Get opens the blob. Reading it to the end reports Corrupt when the bytes do
	// not have the digest. Errors: NotFound; Invalid for a malformed digest.
	Get(ctx context.Context, digest string) (io.ReadCloser, error)
}

// checkDigest keeps anything but a digest from becoming a path.
func checkDigest(digest string) error {
	for _, c := range []byte(digest) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fault.Errorf(ErrInvalid, "digest %.70q: want lower-case hex digits", digest)
		}
	}
	if len(digest) != 2*sha256.Size {
		return fault.Errorf(ErrInvalid, "digest %.70q: want %d hex digits, not %d", digest, 2*sha256.Size, len(digest))
	}
	return nil
}

// copyBlob copies r to w and returns the digest and size of what it copied. It
// stops when ctx is done. An error of r comes back as it is, one of w through
// writeFault.
func copyBlob(ctx context.Context, w io.Writer, r io.Reader, writeFault func(error) error) (string, int64, error) {
	sum := sha256.New()
	var size int64
	buf := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		n, err := r.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return "", 0, writeFault(werr)
		}
		sum.Write(buf[:n])
		size += int64(n)
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), size, nil
		}
		if err != nil {
			return "", 0, err
		}
	}
}

// verified reads a blob and compares its digest at the end. Like any Reader it
// is for one goroutine at a time.
type verified struct {
	io.Closer
	r    io.Reader
	sum  hash.Hash
	want string
}

func verify(rc io.ReadCloser, digest string) io.ReadCloser {
	return &verified{Closer: rc, r: rc, sum: sha256.New(), want: digest}
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	if err == io.EOF {
		if got := hex.EncodeToString(v.sum.Sum(nil)); got != v.want {
			return n, fault.Errorf(ErrCorrupt, "blob %s is damaged: its bytes have digest %s: restore it from a backup, or put the file again", v.want, got)
		}
	}
	return n, err
}
