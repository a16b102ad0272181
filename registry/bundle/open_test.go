package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
)

// written returns a new bundle's folder.
func written(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, mustNew(t, spec(), parts()).WriteDir(t.Context(), dir))
	return dir
}

func TestWrittenBundleOpensEqual(t *testing.T) {
	want := mustNew(t, spec(), parts())
	dir := written(t)
	got, err := bundle.OpenDir(dir)
	require.NoError(t, err)
	requireSame(t, want, got)
	got, err = bundle.OpenFS(os.DirFS(dir))
	require.NoError(t, err)
	requireSame(t, want, got)

	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary folder is left")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".DS_Store"), nil, 0o666))
	_, err = bundle.OpenDir(dir)
	require.NoError(t, err, "a file that is not listed is no part of the bundle")
}

// requireSame checks that two bundles hold the same, wherever it lies.
func requireSame(t *testing.T, want, got *bundle.Bundle) {
	t.Helper()
	require.Equal(t, want.Digest(), got.Digest())
	require.Equal(t, want.Manifest(), got.Manifest())
	for _, f := range append(want.Files(), bundle.File{Path: bundle.ManifestFile}) {
		a, err := want.ReadFile(f.Path)
		require.NoError(t, err)
		b, err := got.ReadFile(f.Path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(a, b), f.Path)
	}
}

func TestEveryFlippedByteIsFoundOut(t *testing.T) {
	b := mustNew(t, spec(), parts())
	files := fstest.MapFS{}
	for _, f := range append(b.Files(), bundle.File{Path: bundle.ManifestFile}) {
		data, err := b.ReadFile(f.Path)
		require.NoError(t, err)
		files[f.Path] = &fstest.MapFile{Data: data}
	}
	for path, file := range files {
		for i := range file.Data {
			file.Data[i] ^= 0x20
			got, err := bundle.OpenFS(files)
			file.Data[i] ^= 0x20
			if path == bundle.ManifestFile && err == nil {
				// The manifest itself is told by its digest.
				require.NotEqual(t, b.Digest(), got.Digest())
				continue
			}
			require.ErrorIs(t, err, bundle.ErrCorrupt, "%s byte %d", path, i)
			if path != bundle.ManifestFile {
				require.ErrorContains(t, err, path)
			}
		}
	}
	_, err := bundle.OpenFS(files)
	require.NoError(t, err)
}

type spoiled struct {
	name  string
	spoil func(t *testing.T, dir string)
	kind  error
	want  string
}

func spoiledBundles(outside string) []spoiled {
	return []spoiled{
		{"a folder without a manifest", remove("manifest.json"), bundle.ErrNotFound, "holds no bundle"},
		{"a missing file", remove("weights.safetensors"), bundle.ErrCorrupt, "weights.safetensors is missing"},
		{"a missing folder", remove("a"), bundle.ErrCorrupt, "a/b/c.json is missing"},
		{"a shorter file", write("weights.safetensors", "weight"), bundle.ErrCorrupt, "weights.safetensors: it has 6 bytes"},
		{"a longer file", write("weights.safetensors", "weightss"), bundle.ErrCorrupt, "weights.safetensors: it is longer"},
		{"a changed file", write("weights.safetensors", "Weights"), bundle.ErrCorrupt, "weights.safetensors has digest"},
		{"a link out of the folder", link(outside, "weights.safetensors"), bundle.ErrCorrupt, "weights.safetensors: it is not a regular file"},
		{"a link within the folder", link("empty", "weights.safetensors"), bundle.ErrCorrupt, "weights.safetensors: it is not a regular file"},
		{"a manifest that is a link", link(outside, "manifest.json"), bundle.ErrCorrupt, "manifest.json: it is not a regular file"},
		{"a linked folder", link(filepath.Dir(outside), "a"), bundle.ErrCorrupt, "a/b/c.json: a is not a folder"},
		{"a folder in place of a file", func(t *testing.T, dir string) {
			remove("empty")(t, dir)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o777))
		}, bundle.ErrCorrupt, "empty: it is not a regular file"},
		{"an empty manifest", write("manifest.json", ""), bundle.ErrCorrupt, "manifest.json: not a manifest"},
		{"a huge manifest", write("manifest.json", strings.Repeat(" ", bundle.MaxManifestSize+1)), bundle.ErrCorrupt, "the limit is"},
		{"an edited manifest", edit(`"seed":"1"`, `"seed": "1"`), bundle.ErrCorrupt, "not in the canonical form"},
		{"an unknown key", edit(`"format":1`, `"format":1,"formula":2`), bundle.ErrCorrupt, "not in the canonical form"},
		{"a doubled key", edit(`"seed":"1"`, `"seed":"1","seed":"1"`), bundle.ErrCorrupt, "not in the canonical form"},
		{"a newer format", edit(`"format":1`, `"format":2,"new":[1]`), bundle.ErrUnsupported, "format 2, this release reads up to 1: use the newer mlloop"},
		{"format 0", edit(`"format":1`, `"format":0`), bundle.ErrCorrupt, "format 0 is unknown"},
		{"a path out of the folder", edit(`"path":"empty"`, `"path":"../empty"`), bundle.ErrCorrupt, `"../empty"`},
		{"an absolute path", edit(`"path":"empty"`, `"path":"/empty"`), bundle.ErrCorrupt, `"/empty"`},
		{"a file listed twice", edit(`"path":"a/b/c.json"`, `"path":"empty"`), bundle.ErrCorrupt, "sorted by path, each once"},
		{"no MLmodel", edit(`"path":"MLmodel"`, `"path":"MLmodem"`), bundle.ErrCorrupt, "MLmodel is missing"},
		{"a bad digest", edit(`"digest":"`, `"digest":"X`), bundle.ErrCorrupt, "64 lower-case hex digits"},
		{"a size beyond the limit", edit(`"size":7`, `"size":7000000000000`), bundle.ErrCorrupt, "the limit is"},
		{"a negative size", edit(`"size":7`, `"size":-7`), bundle.ErrCorrupt, "-7 bytes"},
		{"a finer time", edit(`00.25Z`, `00.2500001Z`), bundle.ErrCorrupt, "finer than a millisecond"},
		{"a local time", edit(`12:00:00.25Z`, `13:00:00.25+01:00`), bundle.ErrCorrupt, "not in the canonical form"},
	}
}

func TestOpenRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "weights")
	require.NoError(t, os.WriteFile(outside, []byte("weights"), 0o666))
	cases := spoiledBundles(outside)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := written(t)
			c.spoil(t, dir)
			_, err := bundle.OpenDir(dir)
			require.ErrorIs(t, err, c.kind)
			require.Equal(t, c.kind, fault.Kind(err), "one kind only")
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "bundle: open "+dir)
		})
	}
	_, err := bundle.OpenDir(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, bundle.ErrNotFound)
}

func remove(name string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, name))) }
}

func write(name, text string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	}
}

func link(target, name string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		remove(name)(t, dir)
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
}

func edit(from, to string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
		require.NoError(t, err)
		require.Contains(t, string(data), from)
		write("manifest.json", strings.Replace(string(data), from, to, 1))(t, dir)
	}
}

func from(open func(f bundle.File) (io.ReadCloser, error)) bundle.Source {
	return bundle.Source{Open: func(_ context.Context, f bundle.File) (io.ReadCloser, error) { return open(f) }}
}

func TestReadKeepsTheKindOfItsSource(t *testing.T) {
	b := mustNew(t, spec(), parts())
	manifest, err := b.ReadFile(bundle.ManifestFile)
	require.NoError(t, err)
	_, err = bundle.Read(t.Context(), manifest, from(func(bundle.File) (io.ReadCloser, error) {
		return nil, fault.Errorf(fault.Unavailable, "the network is down")
	}))
	require.ErrorIs(t, err, bundle.ErrUnavailable)
	require.EqualError(t, err, "bundle: read: MLmodel: the network is down")
	_, err = bundle.Read(t.Context(), manifest, from(func(bundle.File) (io.ReadCloser, error) {
		return nil, fault.Errorf(fault.NotFound, "blob: not found")
	}))
	require.ErrorIs(t, err, bundle.ErrCorrupt)
	require.NotErrorIs(t, err, bundle.ErrNotFound)
	_, err = bundle.Read(t.Context(), manifest, from(func(f bundle.File) (io.ReadCloser, error) {
		data, err := b.ReadFile(f.Path)
		return io.NopCloser(io.MultiReader(bytes.NewReader(data), failing{})), err
	}))
	require.ErrorContains(t, err, "MLmodel: the cable was cut")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the cable was cut") }

func TestWriteDirNeverOverwrites(t *testing.T) {
	b := mustNew(t, spec(), parts())
	dir := t.TempDir()
	require.ErrorIs(t, b.WriteDir(t.Context(), dir), bundle.ErrAlreadyExists)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o666))
	require.ErrorIs(t, b.WriteDir(t.Context(), file), bundle.ErrAlreadyExists)

	err := b.WriteDir(t.Context(), filepath.Join(dir, "no", "such"))
	require.ErrorIs(t, err, bundle.ErrUnavailable)
	require.ErrorContains(t, err, "create it first")
}

func TestCancelledWriteLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	err := mustNew(t, spec(), parts()).WriteDir(ctx, filepath.Join(dir, "model"))
	require.ErrorIs(t, err, context.Canceled)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// The reader must not hang on a pipe, nor follow the time of a file.
func TestOpenFSOfAnotherMedium(t *testing.T) {
	files := fstest.MapFS{"manifest.json": &fstest.MapFile{Mode: fs.ModeNamedPipe, ModTime: time.Unix(0, 0)}}
	_, err := bundle.OpenFS(files)
	require.ErrorIs(t, err, bundle.ErrCorrupt)
}
