package atomicfiletest

import (
	"bytes"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/atomicfile"
)

// Lstat implements atomicfile.Folder.
func (d *Disk) Lstat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("lstat", name)
	if err != nil {
		return nil, err
	}
	return n.info(name), nil
}

// ReadDir implements atomicfile.Folder.
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("readdir", name)
	if err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for base, child := range n.entries {
		entries = append(entries, fs.FileInfoToDirEntry(child.info(base)))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Close implements atomicfile.Folder.
func (d *Disk) Close() error { return nil }

// Sub implements atomicfile.Folder.
func (d *Disk) Sub(name string) (atomicfile.Folder, error) {
	if _, err := d.Lstat(name); err != nil {
		return nil, err
	}
	return sub{Disk: d, dir: name}, nil
}

// sub is a folder of the disk: each name has that of the folder before it.
type sub struct {
	*Disk
	dir string
}

func (s sub) at(name string) string { return filepath.Join(s.dir, name) }

func (s sub) Create(name string) (atomicfile.File, error) { return s.Disk.Create(s.at(name)) }
func (s sub) Open(name string) (atomicfile.File, error)   { return s.Disk.Open(s.at(name)) }
func (s sub) Mkdir(name string) error                     { return s.Disk.Mkdir(s.at(name)) }
func (s sub) Rename(oldname, newname string) error {
	return s.Disk.Rename(s.at(oldname), s.at(newname))
}
func (s sub) Remove(name string) error                   { return s.Disk.Remove(s.at(name)) }
func (s sub) RemoveAll(name string) error                { return s.Disk.RemoveAll(s.at(name)) }
func (s sub) Lstat(name string) (fs.FileInfo, error)     { return s.Disk.Lstat(s.at(name)) }
func (s sub) ReadDir(name string) ([]fs.DirEntry, error) { return s.Disk.ReadDir(s.at(name)) }
func (s sub) Chtimes(name string, modified time.Time) error {
	return s.Disk.Chtimes(s.at(name), modified)
}
func (s sub) SyncDir(name string) error                  { return s.Disk.SyncDir(s.at(name)) }
func (s sub) Sub(name string) (atomicfile.Folder, error) { return s.Disk.Sub(s.at(name)) }

// file is an open file.
type file struct {
	disk *Disk
	name string
	node *node
	at   int64 // where Read goes on
}

func (f *file) Write(p []byte) (int, error) {
	if err := f.disk.fails("write", f.name); err != nil {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.node.content = append(f.node.content, p...)
	return len(p), nil
}

func (f *file) Sync() error {
	if err := f.disk.fails("sync", f.name); err != nil {
		return &fs.PathError{Op: "sync", Path: f.name, Err: err}
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.node.syncedContent = slices.Clone(f.node.content)
	return nil
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return bytes.NewReader(f.node.content).ReadAt(p, offset)
}

func (f *file) Stat() (fs.FileInfo, error) { return f.node.info(f.name), nil }

func (f *file) Close() error { return nil }

func (n *node) info(name string) fs.FileInfo {
	return info{name: filepath.Base(name), size: int64(len(n.content)), dir: n.dir, modified: n.modified}
}

type info struct {
	name     string
	size     int64
	dir      bool
	modified time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return i.modified }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}
