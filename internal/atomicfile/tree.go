package atomicfile

import (
	"errors"
	"io"
	"path/filepath"
)

// WriteDir makes the folder name with what fill writes into it. The folder that
// holds it must exist, and name must not.
func WriteDir(f Folder, name string, fill func(t *Tree) error) error {
	temp := Temp(name)
	err := f.Mkdir(temp)
	if err == nil {
		t := &Tree{folder: f, root: temp, folders: map[string]bool{temp: true}}
		if err = fill(t); err == nil {
			err = t.sync()
		}
	}
	if err == nil {
		err = f.Rename(temp, name)
	}
	if err != nil {
		_ = f.RemoveAll(temp) // the first error is the one to report
		return err
	}
	return f.SyncDir(filepath.Dir(name))
}

// Tree is a folder that nobody sees yet. It is for one goroutine at a time.
type Tree struct {
	folder  Folder
	root    string
	folders map[string]bool // that exist, root among them
}

// Write writes the file of the slash-separated name, and makes the folders
// above it.
func (t *Tree) Write(name string, write func(w io.Writer) error) error {
	target := filepath.Join(t.root, filepath.FromSlash(name))
	if err := t.mkdir(filepath.Dir(target)); err != nil {
		return err
	}
	file, err := t.folder.Create(target)
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func (t *Tree) mkdir(name string) error {
	if t.folders[name] {
		return nil
	}
	if err := t.mkdir(filepath.Dir(name)); err != nil {
		return err
	}
	t.folders[name] = true
	return t.folder.Mkdir(name)
}

// sync makes the names in all folders durable.
func (t *Tree) sync() error {
	for name := range t.folders {
		if err := t.folder.SyncDir(name); err != nil {
			return err
		}
	}
	return nil
}
