package bundle_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
)

func TestNewFSPacksWhatNewPacks(t *testing.T) {
	files := fstest.MapFS{}
	for name, data := range parts() {
		files[name] = &fstest.MapFile{Data: data}
	}
	got, err := bundle.NewFS(t.Context(), spec(), files)
	require.NoError(t, err)
	requireSame(t, mustNew(t, spec(), parts()), got)
}

func TestNewFSHoldsNoFile(t *testing.T) {
	const size = 40 << 20
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, bundle.WeightsPart), make([]byte, size), 0o666))
	var b *bundle.Bundle
	var err error
	require.Less(t, allocated(func() { b, err = bundle.NewFS(t.Context(), spec(), os.DirFS(dir)) }), uint64(1<<20))
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "model")
	require.NoError(t, b.WriteDir(t.Context(), out))
	again, err := bundle.OpenDir(out)
	require.NoError(t, err)
	require.Equal(t, b.Digest(), again.Digest())
	require.NoError(t, again.Verify(t.Context()))

	require.NoError(t, os.WriteFile(filepath.Join(dir, bundle.WeightsPart), make([]byte, size-1), 0o666))
	require.ErrorIs(t, b.Verify(t.Context()), bundle.ErrCorrupt, "the folder has changed since")
}

func TestNewFSRefuses(t *testing.T) {
	for _, name := range []string{"MLmodel", "manifest.json", `a\b`} {
		_, err := bundle.NewFS(t.Context(), spec(), fstest.MapFS{name: &fstest.MapFile{}})
		require.ErrorIs(t, err, bundle.ErrInvalid, name)
	}
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	_, err := bundle.NewFS(t.Context(), spec(), os.DirFS(dir))
	require.ErrorIs(t, err, bundle.ErrInvalid)
	require.ErrorContains(t, err, "link is not a regular file")
	_, err = bundle.NewFS(t.Context(), spec(), os.DirFS(filepath.Join(dir, "none")))
	require.ErrorIs(t, err, bundle.ErrNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = bundle.NewFS(ctx, spec(), fstest.MapFS{"x": &fstest.MapFile{}})
	require.ErrorIs(t, err, context.Canceled)
}
