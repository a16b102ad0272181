package artifact

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
)

func (d *dir) Stat(ctx context.Context, digest string) (Info, error) {
	if err := blob.Check(ctx, digest); err != nil {
		return Info{}, err
	}
	root, err := d.disk.Sub(d.path)
	if err != nil {
		return Info{}, d.missing(digest, err)
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	info, err := root.Lstat(blobPath(digest))
	if err != nil {
		return Info{}, d.missing(digest, err)
	}
	return infoOf(digest, info), nil
}

// List reads one of the folders at a time.
func (d *dir) List(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		root, err := d.disk.Sub(d.path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(Info{}, d.unavailable(err))
			return
		}
		defer func() { _ = root.Close() }() // opened for reading
		d.list(ctx, root, "", yield)
	}
}

// list yields the blobs whose digest begins with prefix, and reports whether to
// go on.
func (d *dir) list(ctx context.Context, root atomicfile.Folder, prefix string, yield func(Info, error) bool) bool {
	const digits = 4 // of the two folders
	fail := func(err error) bool {
		yield(Info{}, err)
		return false
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	folder := "./" + prefix
	if len(prefix) == digits {
		folder = prefix[:2] + "/" + prefix[2:]
	}
	entries, err := root.ReadDir(path.Clean(folder))
	if err != nil {
		return fail(d.unavailable(err))
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case len(prefix) < digits:
			if len(name) == 2 && isHex(name) && e.IsDir() && !d.list(ctx, root, prefix+name, yield) {
				return false
			}
		case blob.CheckDigest(name) == nil && strings.HasPrefix(name, prefix) && e.Type().IsRegular():
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
				continue
			}
			if err != nil {
				return fail(d.unavailable(err))
			}
			if !yield(infoOf(name, info), nil) {
				return false
			}
		}
	}
	return true
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func (d *dir) Delete(ctx context.Context, digest string) error {
	root, err := d.existing(ctx, digest)
	if root == nil || err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	return d.remove(root, digest)
}

// Expire removes the file while no Put gives it a new time.
func (d *dir) Expire(ctx context.Context, digest string, before time.Time) (bool, error) {
	root, err := d.existing(ctx, digest)
	if root == nil || err != nil {
		return false, err
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	lock, err := lockWithin(ctx, root, true)
	switch {
	case ctx.Err() != nil && err != nil:
		return false, ctx.Err()
	case errors.Is(err, errors.ErrUnsupported):
		return false, fault.Errorf(ErrUnsupported, "artifacts in %s: the file system has no locks, so that a blob cannot be removed beside those that are being put: keep the artifacts on another one (%w)", d.path, err)
	case err != nil:
		return false, d.unavailable(err)
	}
	defer func() { _ = lock.Close() }() // nothing is written to it
	info, err := root.Lstat(blobPath(digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, d.unavailable(err)
	case !blob.Millis(info.ModTime()).Before(blob.Millis(before)):
		return false, nil
	}
	return true, d.remove(root, digest)
}

// existing opens the folder, and returns nil when there is none.
func (d *dir) existing(ctx context.Context, digest string) (atomicfile.Folder, error) {
	if err := blob.Check(ctx, digest); err != nil {
		return nil, err
	}
	root, err := d.disk.Sub(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, d.unavailable(err)
	}
	return root, nil
}

// remove removes a blob durably. The folders stay: another blob may be on its
// way into them.
func (d *dir) remove(root atomicfile.Folder, digest string) error {
	err := root.Remove(blobPath(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = root.SyncDir(digest[:2] + "/" + digest[2:4])
	}
	if err != nil {
		return d.unavailable(err)
	}
	return nil
}
