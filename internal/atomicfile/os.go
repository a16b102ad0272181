package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"
)

// OS returns the file system of the operating system. Names are paths; links
// are followed.
func OS() Folder { return plain{} }

// How new files and folders are made: for all, less the umask.
const (
	filePerm   = 0o666
	folderPerm = 0o777
	createFlag = os.O_CREATE | os.O_EXCL | os.O_WRONLY
	lockFlag   = os.O_CREATE | os.O_RDWR
)

type plain struct{}

func (plain) Create(name string) (File, error)       { return file(os.OpenFile(name, createFlag, filePerm)) }
func (plain) Open(name string) (File, error)         { return file(os.Open(name)) }
func (plain) Mkdir(name string) error                { return os.Mkdir(name, folderPerm) }
func (plain) Rename(oldname, newname string) error   { return os.Rename(oldname, newname) }
func (plain) Remove(name string) error               { return os.Remove(name) }
func (plain) RemoveAll(name string) error            { return os.RemoveAll(name) }
func (plain) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }
func (plain) ReadDir(name string) ([]fs.DirEntry, error) {
	return os.ReadDir(name)
}
func (plain) Chtimes(name string, modified time.Time) error {
	return os.Chtimes(name, time.Time{}, modified)
}
func (plain) SyncDir(name string) error { return syncDir(os.Open(name)) }
func (plain) Lock(name string, exclusive bool) (io.Closer, error) {
	f, err := os.OpenFile(name, lockFlag, filePerm)
	return locked(f, err, exclusive)
}
func (plain) Sub(name string) (Folder, error) {
	r, err := os.OpenRoot(name)
	return folder(r, err)
}
func (plain) Close() error { return nil }

// root is a folder that no name leads out of.
type root struct{ *os.Root }

func (r root) Create(name string) (File, error) { return file(r.OpenFile(name, createFlag, filePerm)) }
func (r root) Open(name string) (File, error)   { return file(r.Root.Open(name)) }
func (r root) Mkdir(name string) error          { return r.Root.Mkdir(name, folderPerm) }
func (r root) ReadDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(r.FS(), name)
}
func (r root) Chtimes(name string, modified time.Time) error {
	return r.Root.Chtimes(name, time.Time{}, modified)
}
func (r root) SyncDir(name string) error { return syncDir(r.Root.Open(name)) }
func (r root) Lock(name string, exclusive bool) (io.Closer, error) {
	f, err := r.OpenFile(name, lockFlag, filePerm)
	return locked(f, err, exclusive)
}
func (r root) Sub(name string) (Folder, error) {
	sub, err := r.OpenRoot(name)
	return folder(sub, err)
}

// file and folder keep a nil pointer from becoming an interface that is not nil.
func file(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func folder(r *os.Root, err error) (Folder, error) {
	if err != nil {
		return nil, err
	}
	return root{r}, nil
}

func syncDir(f *os.File, err error) error {
	if err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // cannot sync a folder, and needs not
		return f.Close()
	}
	return errors.Join(f.Sync(), f.Close())
}

// locked locks an open file; closing it unlocks it.
func locked(f *os.File, err error, exclusive bool) (io.Closer, error) {
	if err != nil {
		return nil, err
	}
	if err := lock(f, exclusive); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: f.Name(), Err: err}, f.Close())
	}
	return f, nil
}
