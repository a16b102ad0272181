package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
)

// WriteDir writes the bundle to the folder dir, which must not exist yet while
// its parent must. The folder appears whole and durable, or not at all. Errors:
// AlreadyExists; Unavailable (no parent folder, no right to write, disk full).
func (b *Bundle) WriteDir(ctx context.Context, dir string) error {
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); err == nil {
		return fault.Errorf(fault.AlreadyExists, "bundle: write %s: already exists: remove it or choose another folder", dir)
	}
	parent := filepath.Dir(dir)
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return fault.Errorf(fault.Unavailable, "bundle: write %s: the folder %s does not exist: create it first", dir, parent)
	}
	temp := filepath.Join(parent, "."+filepath.Base(dir)+".tmp-"+id.New())
	err := b.writeTree(ctx, temp)
	if err == nil {
		err = os.Rename(temp, dir)
	}
	if err != nil {
		_ = os.RemoveAll(temp) // the first error is the one to report
		return fmt.Errorf("bundle: write %s: %w", dir, storageFault(err))
	}
	if err := syncDir(parent); err != nil {
		return fmt.Errorf("bundle: write %s: %w", dir, storageFault(err))
	}
	return nil
}

// writeTree makes the folder root and puts every file into it, all of it synced.
func (b *Bundle) writeTree(ctx context.Context, root string) error {
	if err := os.Mkdir(root, 0o777); err != nil { // less the umask, as any new folder
		return err
	}
	folders := map[string]bool{root: true}
	for _, name := range append(b.names(), ManifestFile) {
		if err := ctx.Err(); err != nil {
			return err
		}
		target := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			folders[filepath.Join(root, filepath.FromSlash(folder))] = true
		}
		data := b.parts[name]
		if name == ManifestFile {
			data = b.encoded
		}
		if err := writeFile(target, data); err != nil {
			return err
		}
	}
	for folder := range folders {
		if err := syncDir(folder); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, data []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Sync(); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// syncDir makes the names in a folder durable.
func syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil // cannot sync a folder, and needs not
	}
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		_ = dir.Close()
		return err
	}
	return dir.Close()
}

// storageFault returns an error of the file system with its kind and what to
// do about it. Errors that have a kind, those of a context, and nil come back as
// they are.
func storageFault(err error) error {
	switch {
	case err == nil, fault.Kind(err) != nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fault.Errorf(fault.NotFound, "not found: %w", err)
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		return fault.Errorf(fault.AlreadyExists, "already exists: %w", err)
	case errors.Is(err, syscall.ENOSPC):
		return fault.Errorf(fault.Unavailable, "the disk is full: free some space and try again: %w", err)
	}
	return fault.Errorf(fault.Unavailable, "%w", err)
}
