package artifact

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
)

// Dir returns a store that keeps each blob in a file below the folder path, at
// ab/cd/abcd…, where abcd… is its digest. The folder is made by the first Put.
// Nothing outside of it is read or written, symbolic links out of it included.
//
// A blob is written to path/incoming, synced and then renamed, so that a
// process or machine that dies leaves either the whole blob or none; what is
// left in incoming is removed after a day. Several processes may use the
// folder at once.
func Dir(path string) Store { return &dir{path: path} }

type dir struct {
	path  string
	sweep sync.Once
}

// incoming is the folder of blobs that are being written.
const incoming = "incoming"

// stale is the age at which a file in incoming has no writer any more.
const stale = 24 * time.Hour

func (d *dir) Put(ctx context.Context, r io.Reader) (string, int64, error) {
	root, err := d.create()
	if err != nil {
		return "", 0, d.unavailable(err)
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	d.sweep.Do(func() { sweepIncoming(root, time.Now().Add(-stale)) })

	temp := incoming + "/" + id.New()
	digest, size, err := d.write(ctx, root, temp, r)
	if err == nil {
		err = d.publish(root, temp, digest)
	}
	if err != nil {
		_ = root.Remove(temp) // the first error is the one to report
		return "", 0, err
	}
	return digest, size, nil
}

// create makes the folders that every Put needs.
func (d *dir) create() (*os.Root, error) {
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(d.path, 0o777); err != nil {
			return nil, err
		}
		if err := syncFolder(os.Open(filepath.Dir(filepath.Clean(d.path)))); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, err
	}
	if err := root.MkdirAll(incoming, 0o777); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// write copies r to the file temp and syncs it.
func (d *dir) write(ctx context.Context, root *os.Root, temp string, r io.Reader) (string, int64, error) {
	f, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return "", 0, d.unavailable(err)
	}
	digest, size, err := copyBlob(ctx, f, r, d.unavailable)
	if err != nil {
		_ = f.Close() // the first error is the one to report
		return "", 0, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return "", 0, d.unavailable(err)
	}
	return digest, size, nil
}

// publish gives a written file its name. A blob that is there already is
// replaced by the same bytes, which mends a damaged one.
func (d *dir) publish(root *os.Root, temp, digest string) error {
	first, second := digest[:2], digest[:2]+"/"+digest[2:4]
	err := root.MkdirAll(second, 0o777)
	if err == nil {
		err = root.Rename(temp, blobPath(digest))
	}
	// The new names must be durable too, also those that another process made
	// but has not synced yet.
	for _, folder := range []string{second, first, "."} {
		if err == nil {
			err = syncFolder(root.Open(folder))
		}
	}
	if err != nil {
		return d.unavailable(err)
	}
	return nil
}

func (d *dir) Get(ctx context.Context, digest string) (io.ReadCloser, error) {
	if err := checkDigest(digest); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.open(blobPath(digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Errorf(ErrNotFound, "blob %s in %s: not found", digest, d.path)
	case err != nil:
		return nil, d.unavailable(err)
	}
	return verify(f, digest), nil
}

func (d *dir) open(name string) (*os.File, error) {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	return root.Open(name)
}

func blobPath(digest string) string {
	return strings.Join([]string{digest[:2], digest[2:4], digest}, "/")
}

// unavailable says what an error of the file system means.
func (d *dir) unavailable(err error) error {
	advice := "check the folder and the right to write"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		advice = "the disk or its quota is full: free some space and try again"
	}
	return fault.Errorf(ErrUnavailable, "artifacts in %s: %s: %w", d.path, advice, err)
}

// syncFolder makes the names in a folder durable. Windows cannot sync a folder.
func syncFolder(f *os.File, err error) error {
	if err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return f.Close()
	}
	return errors.Join(f.Sync(), f.Close())
}

// sweepIncoming removes what writers that died before the time left behind. It
// frees space and no more, so its errors do not matter.
func sweepIncoming(root *os.Root, before time.Time) {
	entries, err := fs.ReadDir(root.FS(), incoming)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			_ = root.Remove(incoming + "/" + e.Name())
		}
	}
}
