// Package atomicfile writes files and folders that appear whole and durable, or
// not at all: written under another name, synced, renamed, and the folder that
// holds the new name synced too.
//
//	err := atomicfile.WriteFile(atomicfile.OS(), "settings.json", func(w io.Writer) error {
//		_, err := w.Write(settings)
//		return err
//	})
//
// Everything goes through Folder, so that a test can put a disk beneath it that
// loses all that was not synced: see package atomicfiletest.
package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mlloop/mlloop/internal/id"
)

// Folder is what durable writes need of a file system. Names are those below
// the folder, or any path for OS. Errors are those of package os. It is safe for
// concurrent use.
type Folder interface {
	Create(name string) (File, error) // a new file, to write
	Open(name string) (File, error)   // a file, to read
	Mkdir(name string) error
	Rename(oldname, newname string) error
	Remove(name string) error
	RemoveAll(name string) error
	Lstat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error) // by name
	Chtimes(name string, modified time.Time) error
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
	// Lock takes the file as a lock between processes, shared or exclusive, and
	// makes it if need be. Close gives it back. Errors: those that wrap
	// errors.ErrUnsupported where there are no locks.
	Lock(name string, exclusive bool) (io.Closer, error)
	// Sub is the folder of the name; nothing outside it can be reached through it,
	// by symbolic links either. Close it.
	Sub(name string) (Folder, error)
	Close() error
}

// File is an open file. Like an os.File it may be read at several places at
// once, and is otherwise for one goroutine at a time.
type File interface {
	io.ReadWriteCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
	Sync() error // makes the bytes durable, not the name
}

// MkdirAll makes a folder and those above it that are missing, durably: each new
// name is synced before the next is made. The name of the first folder that
// existed is synced as well: another process may have made it a moment ago, or
// died before it could.
func MkdirAll(f Folder, name string) error {
	name = filepath.Clean(name)
	parent := filepath.Dir(name)
	info, err := f.Lstat(name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		// Where a link leads is for the file system to say. It exists, or making
		// something below it fails.
		return nil
	}
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	}
	if err == nil {
		if err := f.SyncDir(parent); !errors.Is(err, fs.ErrPermission) { // not ours, then
			return err
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent != name {
		if err := MkdirAll(f, parent); err != nil {
			return err
		}
	}
	if err := f.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) { // another may be quicker
		return err
	}
	return f.SyncDir(parent)
}

// WriteFile writes a file, in place of one of that name. Its folder must exist.
func WriteFile(f Folder, name string, write func(w io.Writer) error) error {
	p, err := Create(f, Temp(name))
	if err != nil {
		return err
	}
	if err = write(p); err == nil {
		err = p.Sync()
	}
	if err == nil {
		err = p.Publish(name)
	}
	if err != nil {
		p.Discard()
	}
	return err
}

// Temp returns a new name beside name: hidden, and used by nobody else.
func Temp(name string) string {
	return filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp-"+id.New())
}

// Pending is a file that nobody sees yet: write it, Sync it, and Publish it
// under its name, or Discard it. It is for one goroutine at a time.
type Pending struct {
	folder Folder
	temp   string
	file   File
}

// Create begins a file under the name temp, which must be new.
func Create(f Folder, temp string) (*Pending, error) {
	file, err := f.Create(temp)
	if err != nil {
		return nil, err
	}
	return &Pending{folder: f, temp: temp, file: file}, nil
}

// Write appends to the file.
func (p *Pending) Write(b []byte) (int, error) { return p.file.Write(b) }

// Sync makes the bytes durable and ends the writing.
func (p *Pending) Sync() error {
	err := p.file.Sync()
	return errors.Join(err, p.Close())
}

// Close ends the writing, without making anything durable. It may be called again.
func (p *Pending) Close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}

// Publish gives the file its name, in place of another of that name, and makes
// the name durable.
func (p *Pending) Publish(name string) error {
	if err := p.folder.Rename(p.temp, name); err != nil {
		return err
	}
	return p.folder.SyncDir(filepath.Dir(name))
}

// Discard removes a file that was not published. It frees space and no more, so
// its errors do not matter.
func (p *Pending) Discard() {
	_ = p.Close()
	_ = p.folder.Remove(p.temp)
}
