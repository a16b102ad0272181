package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mlloop/mlloop/internal/fault"
)

// OpenDir opens the bundle in a folder, which must stay as it is for as long as
// the bundle is in use: see InMemory. Links that lead out of the folder are not
// followed. Errors are those of OpenFS.
func OpenDir(dir string) (*Bundle, error) {
	b, err := openDir(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle: open %s: %w", dir, err)
	}
	return b, nil
}

func openDir(dir string) (*Bundle, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, storageFault(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, storageFault(err)
	}
	defer func() { _ = root.Close() }() // opened for reading
	return open(root.FS(), func(_ context.Context, f File) (io.ReadCloser, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, storageFault(err)
		}
		defer func() { _ = root.Close() }() // opened for its name alone
		return openSized(root.FS(), f)
	})
}

// OpenFS opens the bundle at the root of fsys, which must stay as it is for as
// long as the bundle is in use. It checks the manifest, and each file's path and
// size. A file's SHA-256 is verified at once when it is small, as Read says, and
// whenever it is read; Verify checks all of them. Files that the manifest does not
// list are no part of the bundle and are not read. Errors: NotFound when there is
// no manifest; Corrupt, naming the file, when something is missing, damaged or not
// a regular file; Unsupported when a newer release wrote the bundle.
func OpenFS(fsys fs.FS) (*Bundle, error) {
	b, err := open(fsys, func(_ context.Context, f File) (io.ReadCloser, error) { return openSized(fsys, f) })
	if err != nil {
		return nil, fmt.Errorf("bundle: open: %w", err)
	}
	return b, nil
}

func open(fsys fs.FS, files func(ctx context.Context, f File) (io.ReadCloser, error)) (*Bundle, error) {
	encoded, err := readManifest(fsys)
	if err != nil {
		return nil, err
	}
	return read(context.Background(), encoded, Source{Open: files})
}

func readManifest(fsys fs.FS) ([]byte, error) {
	file, err := openRegular(fsys, ManifestFile)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.Errorf(fault.NotFound, "%s: not found: this folder holds no bundle", ManifestFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	defer func() { _ = file.Close() }()
	encoded, err := io.ReadAll(io.LimitReader(file, MaxManifestSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, storageFault(err))
	}
	return encoded, nil
}

// openSized opens a file that has the size of the manifest.
func openSized(fsys fs.FS, f File) (io.ReadCloser, error) {
	file, err := openRegular(fsys, f.Path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != f.Size {
		_ = file.Close() // opened for reading
		if info.Size() > f.Size {
			return nil, fault.Errorf(fault.Corrupt, "it is longer than the %d bytes that the manifest says: restore it", f.Size)
		}
		return nil, fault.Errorf(fault.Corrupt, "it has %d bytes, the manifest says %d: it was cut short, restore it", info.Size(), f.Size)
	}
	return file, storageFault(err)
}

// openRegular refuses links, folders and devices, on the way to the file too: a
// bundle has only folders and files.
func openRegular(fsys fs.FS, name string) (fs.File, error) {
	for i, c := range name {
		if c != '/' {
			continue
		}
		parent := name[:i]
		info, err := fs.Lstat(fsys, parent)
		if err != nil {
			return nil, storageFault(err)
		}
		if !info.IsDir() {
			return nil, fault.Errorf(fault.Corrupt, "%s is not a folder", parent)
		}
	}
	info, err := fs.Lstat(fsys, name)
	if err != nil {
		return nil, storageFault(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Errorf(fault.Corrupt, "it is not a regular file")
	}
	file, err := fsys.Open(name)
	return file, storageFault(err)
}
