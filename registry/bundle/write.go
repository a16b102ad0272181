package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/fault"
)

// WriteDir writes the bundle to the folder dir, which must not exist yet while
// its parent must. The folder appears whole and durable, or not at all. Errors:
// AlreadyExists; Unavailable (no parent folder, no right to write, disk full);
// Corrupt for a file that is not what the manifest says.
func (b *Bundle) WriteDir(ctx context.Context, dir string) error {
	return b.writeDir(ctx, atomicfile.OS(), filepath.Clean(dir))
}

func (b *Bundle) writeDir(ctx context.Context, disk atomicfile.Folder, dir string) error {
	if _, err := disk.Lstat(dir); err == nil {
		return fault.Errorf(fault.AlreadyExists, "bundle: write %s: already exists: remove it or choose another folder", dir)
	}
	parent := filepath.Dir(dir)
	if _, err := disk.Lstat(parent); err != nil {
		return fault.Errorf(fault.Unavailable, "bundle: write %s: the folder %s does not exist: create it first", dir, parent)
	}
	err := atomicfile.WriteDir(disk, dir, func(tree *atomicfile.Tree) error {
		for _, name := range append(b.names(), ManifestFile) {
			if err := b.writeFile(ctx, tree, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("bundle: write %s: %w", dir, storageFault(err))
	}
	return nil
}

func (b *Bundle) writeFile(ctx context.Context, tree *atomicfile.Tree, name string) error {
	file, err := b.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // opened for reading
	return tree.Write(name, func(w io.Writer) error {
		_, err := io.Copy(w, withContext(ctx, file))
		return err
	})
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
