package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
)

// verifier reads a file and compares it with the manifest at its end.
type verifier struct {
	io.Closer
	r    io.Reader
	file File
	read int64
	sum  hash.Hash // nil: the source has verified the bytes
}

func newVerifier(r io.ReadCloser, f File, verified bool) *verifier {
	v := &verifier{Closer: r, r: r, file: f}
	if !verified {
		v.sum = sha256.New()
	}
	return v
}

// Read reports Corrupt, with the file's path, in place of the end when the file
// is not what the manifest says.
func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.read += int64(n)
	if v.sum != nil {
		v.sum.Write(p[:n])
	}
	switch {
	case v.read > v.file.Size:
		err = fault.Errorf(fault.Corrupt, "it is longer than the %d bytes that the manifest says: restore it", v.file.Size)
	case err == io.EOF && v.read < v.file.Size:
		err = fault.Errorf(fault.Corrupt, "it has %d bytes, the manifest says %d: it was cut short, restore it", v.read, v.file.Size)
	case err == io.EOF:
		if got := v.digest(); got != v.file.Digest {
			return n, fault.Errorf(fault.Corrupt, "%s has digest %s, the manifest says %s: it was changed, restore it", v.file.Path, got, v.file.Digest)
		}
		return n, io.EOF
	case err == nil:
		return n, nil
	}
	return n, fmt.Errorf("%s: %w", v.file.Path, storageFault(err))
}

func (v *verifier) digest() string {
	if v.sum == nil {
		return v.file.Digest
	}
	return hex.EncodeToString(v.sum.Sum(nil))
}
