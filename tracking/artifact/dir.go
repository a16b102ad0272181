package artifact

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
)

// Dir returns a store that keeps each blob in a file below the folder path, at
// ab/cd/abcd…, where abcd… is its digest. The folder, and those above it, are
// made by the first Put. Nothing outside of it is read or written, symbolic links
// out of it included.
//
// A blob is written to path/incoming, synced and then renamed, and the names of
// the file and of every new folder are synced, so that a process or machine that
// dies leaves either the whole blob or none; what is left in incoming is removed
// after a day. Several processes may use the folder at once. An open blob that is
// deleted stays readable for as long as it is open.
//
// ModTime is the time of the file. Expire needs locks between processes
// (path/lock, by flock or LockFileEx) and is Unsupported on file systems without.
func Dir(path string) Store { return &dir{path: path, disk: atomicfile.OS()} }

type dir struct {
	UnimplementedStore
	path  string
	disk  atomicfile.Folder
	made  atomic.Bool // path exists, durably
	sweep sync.Once
}

const (
	incoming = "incoming" // the folder of blobs that are being written
	lockFile = "lock"     // held while a blob gets its name, exclusively while one expires
)

// stale is the age at which a file in incoming has no writer any more.
const stale = 24 * time.Hour

func (d *dir) Put(ctx context.Context, r io.Reader, opts *PutOptions) (string, int64, error) {
	want, err := opts.check()
	if err != nil {
		return "", 0, err
	}
	root, err := d.create()
	if err != nil {
		return "", 0, d.unavailable(err)
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	d.sweep.Do(func() { sweepIncoming(root, time.Now().Add(-stale)) })

	temp := incoming + "/" + id.New()
	file, err := atomicfile.Create(root, temp)
	if err != nil {
		return "", 0, d.unavailable(err)
	}
	digest, size, err := blob.Copy(ctx, file, r, d.unavailable)
	if err == nil {
		err = blob.Expect(want, digest)
	}
	if err == nil {
		err = d.publish(ctx, root, file, temp, digest)
	}
	if err != nil {
		file.Discard()
		return "", 0, err
	}
	return digest, size, nil
}

// create makes the folders that every Put needs.
func (d *dir) create() (atomicfile.Folder, error) {
	root, err := d.disk.Sub(d.path)
	if !d.made.Load() || errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			_ = root.Close() // opened for its name alone
		}
		if err := atomicfile.MkdirAll(d.disk, d.path); err != nil {
			return nil, err
		}
		root, err = d.disk.Sub(d.path)
	}
	if err != nil {
		return nil, err
	}
	if err := root.Mkdir(incoming); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(err, root.Close())
	}
	d.made.Store(true)
	return root, nil
}

// publish gives a written file its name. A blob that is there already is
// replaced by the same bytes, which mends a damaged one. The lock keeps it from
// being taken for an old one that may expire.
func (d *dir) publish(ctx context.Context, root atomicfile.Folder, file *atomicfile.Pending, temp, digest string) error {
	err := file.Sync()
	if err == nil {
		err = atomicfile.MkdirAll(root, digest[:2]+"/"+digest[2:4])
	}
	if err != nil {
		return d.unavailable(err)
	}
	lock, err := lockWithin(ctx, root, false)
	switch {
	case ctx.Err() != nil && err != nil:
		return ctx.Err()
	case errors.Is(err, errors.ErrUnsupported): // and so is Expire
	case err != nil:
		return d.unavailable(err)
	default:
		defer func() { _ = lock.Close() }() // nothing is written to it
	}
	err = root.Chtimes(temp, time.Now())
	if err == nil {
		err = file.Publish(blobPath(digest))
	}
	if err != nil {
		return d.unavailable(err)
	}
	return nil
}

func (d *dir) Get(ctx context.Context, digest string) (io.ReadCloser, error) {
	f, _, err := d.open(ctx, digest)
	if err != nil {
		return nil, err
	}
	return blob.Verify(f, digest), nil
}

func (d *dir) GetRange(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
	f, info, err := d.open(ctx, digest)
	if err != nil {
		return nil, err
	}
	length, err = blob.Clip(info.Size, offset, length)
	if err != nil {
		_ = f.Close() // opened for reading
		return nil, err
	}
	return section{io.NewSectionReader(f, offset, length), f}, nil
}

// section is a part of an open file. Like any Reader it is for one goroutine at
// a time.
type section struct {
	*io.SectionReader
	io.Closer
}

func (d *dir) open(ctx context.Context, digest string) (atomicfile.File, Info, error) {
	if err := blob.Check(ctx, digest); err != nil {
		return nil, Info{}, err
	}
	root, err := d.disk.Sub(d.path)
	if err != nil {
		return nil, Info{}, d.missing(digest, err)
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	f, err := root.Open(blobPath(digest))
	if err != nil {
		return nil, Info{}, d.missing(digest, err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close() // opened for reading
		return nil, Info{}, d.unavailable(err)
	}
	return f, infoOf(digest, info), nil
}

// missing is the error of a blob that could not be opened.
func (d *dir) missing(digest string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Errorf(ErrNotFound, "blob %s in %s: not found", digest, d.path)
	}
	return d.unavailable(err)
}

func infoOf(digest string, info fs.FileInfo) Info {
	return Info{Digest: digest, Size: info.Size(), ModTime: blob.Millis(info.ModTime())}
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

// sweepIncoming removes what writers that died before the time left behind. It
// frees space and no more, so its errors do not matter.
func sweepIncoming(root atomicfile.Folder, before time.Time) {
	entries, err := root.ReadDir(incoming)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			_ = root.Remove(incoming + "/" + e.Name())
		}
	}
}
