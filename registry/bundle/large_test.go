package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
)

// large returns the folder of a bundle whose weights take size bytes, too many to be held.
func large(t testing.TB, size int) (dir string, weights []byte) {
	t.Helper()
	weights = make([]byte, size)
	for i := range weights {
		weights[i] = byte(i*7 + i>>9)
	}
	b := mustNew(t, spec(), map[string][]byte{bundle.WeightsPart: weights, "deep/profile.json": []byte("{}")})
	dir = filepath.Join(t.TempDir(), "model")
	require.NoError(t, b.WriteDir(t.Context(), dir))
	return dir, weights
}

func TestLargeFilesStayWhereTheyLie(t *testing.T) {
	const size = 40 << 20
	dir, weights := large(t, size)
	var b *bundle.Bundle
	var err error
	require.Less(t, allocated(func() { b, err = bundle.OpenDir(dir) }), uint64(1<<20), "opening reads no weights")
	require.NoError(t, err)
	require.Less(t, allocated(func() { err = b.WriteDir(t.Context(), filepath.Join(t.TempDir(), "copy")) }), uint64(1<<20), "writing copies in pieces")
	require.NoError(t, err)
	require.Less(t, allocated(func() { err = b.Verify(t.Context()) }), uint64(1<<20))
	require.NoError(t, err)

	got, err := b.ReadFile(bundle.WeightsPart)
	require.NoError(t, err)
	require.True(t, bytes.Equal(weights, got))
	file, err := b.Open(bundle.WeightsPart)
	require.NoError(t, err)
	got, err = io.ReadAll(file)
	require.NoError(t, errors.Join(err, file.Close()))
	require.True(t, bytes.Equal(weights, got))
}

// allocated returns how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// However a large file is read, damage shows, with its name.
func TestLargeFilesAreVerifiedAsTheyAreRead(t *testing.T) {
	dir, weights := large(t, 2<<20)
	path := filepath.Join(dir, bundle.WeightsPart)
	longer := append(bytes.Clone(weights), 'x')
	changed := bytes.Clone(weights)
	changed[len(changed)-1] ^= 1
	for why, content := range map[string][]byte{"longer": longer, "cut": weights[:2<<20-1], "changed": changed, "empty": nil, "gone": nil} {
		b, err := bundle.OpenDir(dir)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, 0o666))
		if why == "gone" {
			require.NoError(t, os.Remove(path))
		}
		for how, read := range readings(t, b) {
			err := read()
			require.ErrorIs(t, err, bundle.ErrCorrupt, "%s, %s", why, how)
			require.Equal(t, bundle.ErrCorrupt, fault.Kind(err))
			require.ErrorContains(t, err, bundle.WeightsPart, "%s, %s", why, how)
			require.ErrorContains(t, err, "restore it")
		}
		if why != "changed" {
			_, err = bundle.OpenDir(dir)
			require.ErrorIs(t, err, bundle.ErrCorrupt, "%s: the size tells, without the bytes", why)
		}
		require.NoError(t, os.WriteFile(path, weights, 0o666))
		for how, read := range readings(t, b) {
			require.NoError(t, read(), how)
		}
	}
}

func readings(t *testing.T, b *bundle.Bundle) map[string]func() error {
	return map[string]func() error{
		"ReadFile": func() error { _, err := b.ReadFile(bundle.WeightsPart); return err },
		"Open": func() error {
			f, err := b.Open(bundle.WeightsPart)
			if err == nil {
				_, err = io.Copy(io.Discard, f)
			}
			return err
		},
		"Verify":   func() error { return b.Verify(t.Context()) },
		"InMemory": func() error { _, err := b.InMemory(t.Context()); return err },
		"WriteDir": func() error { return b.WriteDir(t.Context(), filepath.Join(t.TempDir(), "x")) },
	}
}

func TestInMemoryNeedsItsSourceNoMore(t *testing.T) {
	dir, weights := large(t, 2<<20)
	b, err := bundle.OpenDir(dir)
	require.NoError(t, err)
	held, err := b.InMemory(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	got, err := held.ReadFile(bundle.WeightsPart)
	require.NoError(t, err)
	require.True(t, bytes.Equal(weights, got))
	_, err = b.ReadFile("deep/profile.json")
	require.NoError(t, err, "small files were held anyway")
}

// A source that has verified the bytes spares the hashing, but its sizes are
// compared all the same.
func TestVerifiedSource(t *testing.T) {
	weights := make([]byte, 2<<20)
	b := mustNew(t, spec(), map[string][]byte{bundle.WeightsPart: weights})
	manifest, err := b.ReadFile(bundle.ManifestFile)
	require.NoError(t, err)
	answer := map[string][]byte{}
	for _, f := range b.Files() {
		answer[f.Path], err = b.ReadFile(f.Path)
		require.NoError(t, err)
	}
	for _, verified := range []bool{false, true} {
		source := from(func(f bundle.File) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(answer[f.Path])), nil })
		source.Verified = verified
		got, err := bundle.Read(t.Context(), manifest, source)
		require.NoError(t, err)
		answer[bundle.WeightsPart] = append([]byte{1}, weights[1:]...)
		_, err = got.ReadFile(bundle.WeightsPart)
		require.Equal(t, verified, err == nil, "trusted: not hashed again")
		answer[bundle.WeightsPart] = weights[1:]
		_, err = got.ReadFile(bundle.WeightsPart)
		require.ErrorIs(t, err, bundle.ErrCorrupt)
		answer[bundle.WeightsPart] = weights
	}
}

func TestRawIsNotHashed(t *testing.T) {
	dir, weights := large(t, 2<<20)
	b, err := bundle.OpenDir(dir)
	require.NoError(t, err)
	weights[5] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(dir, bundle.WeightsPart), weights, 0o666))
	r, err := b.Raw(t.Context(), bundle.WeightsPart)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	require.True(t, bytes.Equal(weights, got))
	_, err = b.Raw(t.Context(), "none")
	require.ErrorIs(t, err, bundle.ErrNotFound)
}

func TestBundleIsAFileSystem(t *testing.T) {
	dir, _ := large(t, 2<<20)
	opened, err := bundle.OpenDir(dir)
	require.NoError(t, err)
	require.NoError(t, fstest.TestFS(opened, "manifest.json", "MLmodel", "weights.safetensors", "deep/profile.json"))
	require.NoError(t, fstest.TestFS(mustNew(t, spec(), parts()), "manifest.json", "a/b/c.json", "empty"))
	again, err := bundle.OpenFS(opened)
	require.NoError(t, err)
	requireSame(t, opened, again)
	for _, name := range []string{"none", "deep/none", "a", "dee"} {
		_, err := opened.Open(name)
		require.ErrorIs(t, err, bundle.ErrNotFound, name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
	for _, name := range []string{"", "/", "../x", "deep//profile.json"} {
		_, err := opened.Open(name)
		require.ErrorIs(t, err, fs.ErrInvalid, name)
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	dir, _ := large(t, 2<<20)
	b, err := bundle.OpenDir(dir)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.Verify(ctx), context.Canceled)
}
