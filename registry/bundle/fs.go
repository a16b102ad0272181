package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

var (
	_ fs.ReadFileFS = (*Bundle)(nil)
	_ fs.StatFS     = (*Bundle)(nil)
)

// ReadFile returns the named file's bytes, verified, and the caller's own;
// manifest.json is one of the names. Errors: NotFound, telling what there is;
// Corrupt; those of the source.
func (b *Bundle) ReadFile(name string) ([]byte, error) {
	f, data, ok := b.find(name)
	if !ok {
		return nil, fmt.Errorf("bundle: read %s: %w", name, b.notFound("readfile", name))
	}
	if data != nil {
		return slices.Clone(data), nil
	}
	data, err := b.readStored(context.Background(), f)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return data, nil
}

// Open opens the named file or folder. Reading a file to its end verifies it,
// and reports Corrupt, with its path, when it is not what the manifest says.
// Files in memory can also seek and read at an offset. Errors: NotFound, telling
// what there is; Corrupt; those of the source.
func (b *Bundle) Open(name string) (fs.File, error) {
	info, err := b.stat("open", name)
	if err != nil {
		return nil, fmt.Errorf("bundle: open %s: %w", name, err)
	}
	if info.IsDir() {
		return &openFolder{info: info, entries: b.entries(name)}, nil
	}
	f, data, _ := b.find(name)
	if data != nil {
		return openBytes{bytes.NewReader(data), info}, nil
	}
	r, err := b.openStored(context.Background(), f)
	if err != nil {
		return nil, fmt.Errorf("bundle: open %w", err)
	}
	return openFile{r, info}, nil
}

// Raw opens the named file without verifying what is read, for those who
// compare it with the manifest's digest themselves, as artifact.Store does when
// it is told what to expect. Errors: those of Open.
func (b *Bundle) Raw(ctx context.Context, name string) (io.ReadCloser, error) {
	f, data, ok := b.find(name)
	if !ok {
		return nil, fmt.Errorf("bundle: open %s: %w", name, b.notFound("open", name))
	}
	if data != nil {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	r, err := b.openStored(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("bundle: open %w", err)
	}
	r.sum = nil
	return r, nil
}

// Stat describes the named file or folder. Errors: NotFound, telling what there is.
func (b *Bundle) Stat(name string) (fs.FileInfo, error) {
	info, err := b.stat("stat", name)
	if err != nil {
		return nil, fmt.Errorf("bundle: stat %s: %w", name, err)
	}
	return info, nil
}

// find returns a file's entry in the manifest and its bytes, which are nil when
// they lie at the source. The manifest is a file too.
func (b *Bundle) find(name string) (f File, data []byte, ok bool) {
	if name == ManifestFile {
		return File{Path: name, Size: int64(len(b.encoded)), Digest: b.digest}, b.encoded, true
	}
	i, ok := slices.BinarySearchFunc(b.manifest.Files, name, func(f File, name string) int { return strings.Compare(f.Path, name) })
	if !ok {
		return File{}, nil, false
	}
	data, held := b.parts[name]
	if held && data == nil {
		data = []byte{}
	}
	return b.manifest.Files[i], data, true
}

func (b *Bundle) notFound(op, name string) error {
	return fault.Errorf(fault.NotFound, "not found: the bundle has %s%w", strings.Join(b.names(), ", "), quiet{&fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}})
}

// quiet is an error that package fs knows, beside a text that says more.
type quiet struct{ err error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.err }

func (b *Bundle) stat(op, name string) (fileInfo, error) {
	info := fileInfo{name: path.Base(name), modified: b.manifest.CreatedAt}
	if !fs.ValidPath(name) {
		return info, fault.Errorf(fault.Invalid, `want a relative path with "/" between its elements%w`, quiet{&fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}})
	}
	if f, _, ok := b.find(name); ok {
		info.size = f.Size
		return info, nil
	}
	info.folder = true
	if name == "." || slices.ContainsFunc(b.manifest.Files, func(f File) bool { return strings.HasPrefix(f.Path, name+"/") }) {
		return info, nil
	}
	return info, b.notFound(op, name)
}

// entries lists a folder by name.
func (b *Bundle) entries(folder string) []fs.DirEntry {
	found := map[string]fileInfo{}
	for _, name := range append(b.names(), ManifestFile) {
		rest, ok := name, true
		if folder != "." {
			rest, ok = strings.CutPrefix(name, folder+"/")
		}
		if !ok {
			continue
		}
		base, _, below := strings.Cut(rest, "/")
		f, _, _ := b.find(name)
		info := fileInfo{name: base, folder: below, modified: b.manifest.CreatedAt}
		if !below {
			info.size = f.Size
		}
		found[base] = info
	}
	entries := make([]fs.DirEntry, 0, len(found))
	for _, info := range found {
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// fileInfo describes a file or folder of a bundle, whose time is the bundle's.
type fileInfo struct {
	name     string
	size     int64
	folder   bool
	modified time.Time
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) ModTime() time.Time { return i.modified }
func (i fileInfo) IsDir() bool        { return i.folder }
func (i fileInfo) Sys() any           { return nil }

func (i fileInfo) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// openBytes is a file in memory.
type openBytes struct {
	*bytes.Reader
	info fileInfo
}

func (o openBytes) Stat() (fs.FileInfo, error) { return o.info, nil }
func (openBytes) Close() error                 { return nil }

// openFile is a file at the source.
type openFile struct {
	io.ReadCloser
	info fileInfo
}

func (o openFile) Stat() (fs.FileInfo, error) { return o.info, nil }

// openFolder is an open folder. It is for one goroutine at a time.
type openFolder struct {
	info    fileInfo
	entries []fs.DirEntry // still to be listed
}

func (o *openFolder) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *openFolder) Close() error               { return nil }

func (o *openFolder) Read([]byte) (int, error) {
	return 0, fault.Errorf(fault.Invalid, "bundle: read %s: it is a folder", o.info.name)
}

// ReadDir implements fs.ReadDirFile.
func (o *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(o.entries)
	} else if len(o.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(o.entries))
	listed := o.entries[:n]
	o.entries = o.entries[n:]
	return listed, nil
}
