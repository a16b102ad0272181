package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"

	"github.com/mlloop/mlloop/internal/fault"
)

// NewFS packs the files of fsys, such as os.DirFS of a folder that another
// program wrote, as New packs parts. It reads each file once, to hash it, and
// holds none: fsys must stay as it is for as long as the bundle is in use. Errors:
// Invalid, listing everything that is wrong with the spec and the files' names;
// Unavailable for a file that cannot be read.
func NewFS(ctx context.Context, spec Spec, fsys fs.FS) (*Bundle, error) {
	b, err := newFS(ctx, spec, fsys)
	if err != nil {
		return nil, fmt.Errorf("bundle: new: %w", err)
	}
	return b, nil
}

func newFS(ctx context.Context, spec Spec, fsys fs.FS) (*Bundle, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return storageFault(err)
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fault.Errorf(fault.Invalid, "%s is not a regular file: a bundle has only folders and files", name)
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	b, err := begin(spec, names)
	if err != nil {
		return nil, err
	}
	b.source = Source{Open: func(_ context.Context, f File) (io.ReadCloser, error) { return openSized(fsys, f) }}
	for _, name := range names {
		f, err := describe(ctx, fsys, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, storageFault(err))
		}
		b.manifest.Files = append(b.manifest.Files, f)
	}
	if err := b.seal(); err != nil {
		return nil, err
	}
	return b, nil
}

// describe hashes a file.
func describe(ctx context.Context, fsys fs.FS, name string) (File, error) {
	file, err := openRegular(fsys, name)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = file.Close() }() // opened for reading
	sum := sha256.New()
	size, err := io.Copy(sum, withContext(ctx, file))
	return File{Path: name, Size: size, Digest: hex.EncodeToString(sum.Sum(nil))}, err
}
