// Package blob is what stores of content-addressed bytes share: digests that
// are checked before they become a name, copies that are hashed on the way,
// readers that find damage.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// CheckDigest keeps anything but a digest, 64 lower-case hex digits, from
// becoming a path. Errors: Invalid.
func CheckDigest(digest string) error {
	for _, c := range []byte(digest) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fault.Errorf(fault.Invalid, "digest %.70q: want lower-case hex digits", digest)
		}
	}
	if len(digest) != 2*sha256.Size {
		return fault.Errorf(fault.Invalid, "digest %.70q: want %d hex digits, not %d", digest, 2*sha256.Size, len(digest))
	}
	return nil
}

// Check is how every call for one blob begins: with its context and its digest.
func Check(ctx context.Context, digest string) error {
	if err := CheckDigest(digest); err != nil {
		return err
	}
	return ctx.Err()
}

// Expect compares the digest of bytes that were read with the one that was asked
// for, "" for any. Errors: Corrupt.
func Expect(want, got string) error {
	if want != "" && want != got {
		return fault.Errorf(fault.Corrupt, "the bytes have digest %s, expected is %s: nothing was stored: they were damaged on the way, or changed at their source", got, want)
	}
	return nil
}

// Clip returns how many bytes of a blob of the size a range has; a length of -1
// means all from offset on. Errors: Invalid.
func Clip(size, offset, length int64) (int64, error) {
	if offset < 0 || offset > size {
		return 0, fault.Errorf(fault.Invalid, "offset %d: want 0 to %d, the size of the blob", offset, size)
	}
	if length < -1 {
		return 0, fault.Errorf(fault.Invalid, "length %d: want 0 or more, or -1 for all that follow", length)
	}
	if length == -1 {
		return size - offset, nil
	}
	return min(length, size-offset), nil
}

// Millis is a time as stores keep it: UTC milliseconds.
func Millis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

// Copy copies r to w and returns the digest and size of what it copied. It
// stops when ctx is done. An error of r comes back as it is, one of w through
// writeFault.
func Copy(ctx context.Context, w io.Writer, r io.Reader, writeFault func(error) error) (string, int64, error) {
	sum := sha256.New()
	var size int64
	buf := make([]byte, 256<<10)
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

// Verify returns a reader of rc that reports Corrupt at the end when the bytes
// do not have the digest. Like any Reader it is for one goroutine at a time.
func Verify(rc io.ReadCloser, digest string) io.ReadCloser {
	return &verified{Closer: rc, r: rc, sum: sha256.New(), want: digest}
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	if err == io.EOF {
		if got := hex.EncodeToString(v.sum.Sum(nil)); got != v.want {
			return n, fault.Errorf(fault.Corrupt, "blob %s is damaged: its bytes have digest %s: restore it from a backup, or put the file again", v.want, got)
		}
	}
	return n, err
}
