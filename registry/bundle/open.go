package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mlloop/mlloop/internal/fault"
)

// OpenDir reads the bundle in a folder and verifies every byte of it. Links
// that lead out of the folder are not followed. Errors are those of OpenFS.
func OpenDir(dir string) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle: open %s: %w", dir, storageFault(err))
	}
	defer func() { _ = root.Close() }() // opened for reading
	b, err := open(root.FS())
	if err != nil {
		return nil, fmt.Errorf("bundle: open %s: %w", dir, err)
	}
	return b, nil
}

// OpenFS reads the bundle at the root of fsys and verifies it: the manifest,
// and each file's path, size and SHA-256. Files that the manifest does not list
// are no part of the bundle and are not read. Errors: NotFound when there is no
// manifest; Corrupt, naming the file, when something is missing, damaged or not
// a regular file; Unsupported when a newer release wrote the bundle.
func OpenFS(fsys fs.FS) (*Bundle, error) {
	b, err := open(fsys)
	if err != nil {
		return nil, fmt.Errorf("bundle: open: %w", err)
	}
	return b, nil
}

func open(fsys fs.FS) (*Bundle, error) {
	encoded, err := readManifest(fsys)
	if err != nil {
		return nil, err
	}
	return read(encoded, func(f File) (io.ReadCloser, error) { return openRegular(fsys, f.Path) })
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

// Read puts a bundle together from the bytes of its manifest.json and its
// other files, which open yields, and verifies it as OpenFS does. An error of
// open is reported with the file's path and keeps its kind, but for NotFound,
// which turns into Corrupt: it is the bundle that lacks a file.
func Read(manifest []byte, open func(f File) (io.ReadCloser, error)) (*Bundle, error) {
	b, err := read(manifest, open)
	if err != nil {
		return nil, fmt.Errorf("bundle: read: %w", err)
	}
	return b, nil
}

func read(encoded []byte, open func(f File) (io.ReadCloser, error)) (*Bundle, error) {
	m, err := parseManifest(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	b := &Bundle{
		manifest: m,
		encoded:  bytes.Clone(encoded),
		digest:   digestOf(encoded),
		parts:    make(map[string][]byte, len(m.Files)),
	}
	for _, f := range m.Files {
		if b.parts[f.Path], err = readPart(f, open); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func readPart(f File, open func(f File) (io.ReadCloser, error)) ([]byte, error) {
	r, err := open(f)
	switch {
	case errors.Is(err, fault.NotFound):
		return nil, fault.Errorf(fault.Corrupt, "%s is missing: restore it (%v)", f.Path, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	defer func() { _ = r.Close() }()
	data, err := readExactly(r, f.Size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, storageFault(err))
	}
	if got := digestOf(data); got != f.Digest {
		return nil, fault.Errorf(fault.Corrupt, "%s has digest %s, the manifest says %s: it was changed, restore it", f.Path, got, f.Digest)
	}
	return data, nil
}

// readExactly reads to the end, which must come after size bytes. It believes
// the size only as far as the bytes come.
func readExactly(r io.Reader, size int64) ([]byte, error) {
	const trusted = 32 << 20 // allocated at once
	var buf bytes.Buffer
	buf.Grow(int(min(size, trusted)) + bytes.MinRead)
	n, err := io.Copy(&buf, io.LimitReader(r, size+1))
	switch {
	case err != nil:
		return nil, err
	case n < size:
		return nil, fault.Errorf(fault.Corrupt, "it has %d bytes, the manifest says %d: it was cut short, restore it", n, size)
	case n > size:
		return nil, fault.Errorf(fault.Corrupt, "it is longer than the %d bytes that the manifest says: restore it", size)
	}
	return buf.Bytes(), nil
}
