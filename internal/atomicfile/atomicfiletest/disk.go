// Package atomicfiletest has a disk in memory that loses what was not synced.
//
//	disk := atomicfiletest.NewDisk()
//	disk.Fail = func(op, name string) error { … } // an error, instead of the operation
//	after := disk.Crash(rng)                      // the machine died, and started again
package atomicfiletest

import (
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/atomicfile"
)

// Disk is a Folder in memory. It forgets, at Crash, the bytes of files that were
// not synced and the names in folders that were not. It knows no links. It is
// safe for concurrent use, but for Fail, which is set before.
type Disk struct {
	// Fail is asked before each operation that changes or syncs something: create,
	// write, sync (a file), mkdir, rename, remove, chtimes, syncdir. An error is
	// returned in place of the operation. nil: nothing fails.
	Fail func(op, name string) error

	mu   sync.Mutex // guards the nodes
	root *node
	lock sync.RWMutex // what Lock takes, whatever the name
}

// node is a file or a folder: what it is now, and what the disk has of it.
type node struct {
	dir           bool
	content       []byte
	entries       map[string]*node
	syncedContent []byte
	syncedEntries map[string]*node
	modified      time.Time
}

func newFolder() *node {
	return &node{dir: true, entries: map[string]*node{}, syncedEntries: map[string]*node{}}
}

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{root: newFolder()} }

// Crash returns what is there after the machine died: what was synced, and of
// all else what chance kept. Without an rng nothing else is kept.
func (d *Disk) Crash(rng *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Disk{root: d.root.survivor(rng, map[*node]*node{})}
}

// survivor copies the node as it comes out of a crash.
func (n *node) survivor(rng *rand.Rand, done map[*node]*node) *node {
	if s := done[n]; s != nil {
		return s
	}
	kept := func() bool { return rng != nil && rng.IntN(2) == 0 }
	s := &node{dir: n.dir, modified: n.modified, entries: map[string]*node{}, syncedEntries: map[string]*node{}}
	done[n] = s
	content := n.syncedContent
	if kept() && len(n.content) > len(content) { // files are only ever appended to
		content = n.content[:len(content)+rng.IntN(len(n.content)-len(content)+1)]
	}
	s.content, s.syncedContent = slices.Clone(content), slices.Clone(content)
	names := map[string]bool{}
	for name := range n.syncedEntries {
		names[name] = true
	}
	for name := range n.entries {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		child := n.syncedEntries[name]
		if now := n.entries[name]; now != child && kept() {
			child = now
		}
		if child != nil {
			s.entries[name] = child.survivor(rng, done)
			s.syncedEntries[name] = s.entries[name]
		}
	}
	return s
}

// Files lists the files that are there, by path.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var paths []string
	d.root.walk("", func(path string) { paths = append(paths, path) })
	slices.Sort(paths)
	return paths
}

func (n *node) walk(path string, file func(path string)) {
	if !n.dir {
		file(path)
	}
	for name, child := range n.entries {
		child.walk(strings.TrimPrefix(path+"/"+name, "/"), file)
	}
}

func (d *Disk) fails(op, name string) error {
	if d.Fail == nil {
		return nil
	}
	return d.Fail(op, filepath.ToSlash(name))
}

// find returns the node of a path, with the lock held.
func (d *Disk) find(op, name string) (*node, error) {
	n := d.root
	for part := range strings.SplitSeq(strings.Trim(filepath.ToSlash(filepath.Clean(name)), "/"), "/") {
		if part == "." || part == "" {
			continue
		}
		if n.entries[part] == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		n = n.entries[part]
	}
	return n, nil
}

// change does something to the folder that holds the name, with the lock held.
func (d *Disk) change(op, name string, do func(folder *node, base string) error) error {
	if err := d.fails(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	folder, err := d.find(op, filepath.Dir(filepath.Clean(name)))
	if err != nil {
		return err
	}
	if err := do(folder, filepath.Base(name)); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// add puts a new node into its folder.
func (d *Disk) add(op, name string, n *node) error {
	return d.change(op, name, func(folder *node, base string) error {
		if folder.entries[base] != nil {
			return fs.ErrExist
		}
		n.modified = time.Now()
		folder.entries[base] = n
		return nil
	})
}

// Create implements atomicfile.Folder.
func (d *Disk) Create(name string) (atomicfile.File, error) {
	n := &node{}
	if err := d.add("create", name, n); err != nil {
		return nil, err
	}
	return &file{disk: d, name: name, node: n}, nil
}

// Open implements atomicfile.Folder.
func (d *Disk) Open(name string) (atomicfile.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("open", name)
	if err != nil {
		return nil, err
	}
	return &file{disk: d, name: name, node: n}, nil
}

// Mkdir implements atomicfile.Folder.
func (d *Disk) Mkdir(name string) error { return d.add("mkdir", name, newFolder()) }

// Rename implements atomicfile.Folder.
func (d *Disk) Rename(oldname, newname string) error {
	return d.change("rename", newname, func(folder *node, base string) error {
		from, err := d.find("rename", filepath.Dir(filepath.Clean(oldname)))
		if err != nil {
			return err
		}
		n := from.entries[filepath.Base(oldname)]
		if n == nil {
			return fs.ErrNotExist
		}
		delete(from.entries, filepath.Base(oldname))
		folder.entries[base] = n
		return nil
	})
}

// Remove implements atomicfile.Folder.
func (d *Disk) Remove(name string) error {
	return d.change("remove", name, func(folder *node, base string) error {
		if folder.entries[base] == nil {
			return fs.ErrNotExist
		}
		delete(folder.entries, base)
		return nil
	})
}

// RemoveAll implements atomicfile.Folder.
func (d *Disk) RemoveAll(name string) error {
	return d.change("remove", name, func(folder *node, base string) error {
		delete(folder.entries, base)
		return nil
	})
}

// Chtimes implements atomicfile.Folder.
func (d *Disk) Chtimes(name string, modified time.Time) error {
	return d.change("chtimes", name, func(folder *node, base string) error {
		if folder.entries[base] == nil {
			return fs.ErrNotExist
		}
		folder.entries[base].modified = modified
		return nil
	})
}

// SyncDir implements atomicfile.Folder.
func (d *Disk) SyncDir(name string) error {
	if err := d.fails("syncdir", name); err != nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find("syncdir", name)
	if err == nil {
		n.syncedEntries = maps.Clone(n.entries)
	}
	return err
}

// Lock implements atomicfile.Folder. There is one lock on the whole disk.
func (d *Disk) Lock(_ string, exclusive bool) (io.Closer, error) {
	if exclusive {
		d.lock.Lock()
		return unlock(d.lock.Unlock), nil
	}
	d.lock.RLock()
	return unlock(d.lock.RUnlock), nil
}

// Locked reports whether somebody holds the lock, and exclusively.
func (d *Disk) Locked() (held, exclusive bool) {
	if d.lock.TryLock() {
		d.lock.Unlock()
		return false, false
	}
	if d.lock.TryRLock() {
		d.lock.RUnlock()
		return true, false
	}
	return true, true
}

type unlock func()

func (u unlock) Close() error {
	u()
	return nil
}
