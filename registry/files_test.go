package registry_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// largeBundle opens a folder with a bundle whose weights take size bytes.
func largeBundle(t testing.TB, size int) (b *bundle.Bundle, dir string, weights []byte) {
	t.Helper()
	weights = make([]byte, size)
	for i := range weights {
		weights[i] = byte(i*7 + i>>9)
	}
	packed, err := bundle.New(bundle.Spec{Flavor: "x", CreatedAt: time.Unix(1e9, 0)}, map[string][]byte{bundle.WeightsPart: weights})
	require.NoError(t, err)
	dir = filepath.Join(t.TempDir(), "model")
	require.NoError(t, packed.WriteDir(t.Context(), dir))
	b, err = bundle.OpenDir(dir)
	require.NoError(t, err)
	return b, dir, weights
}

// allocated returns how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestRegisterAndLoadCopyNoFileWhole(t *testing.T) {
	const size, little = 40 << 20, uint64(2 << 20)
	packed, _, weights := largeBundle(t, size)
	files := artifact.Dir(filepath.Join(t.TempDir(), "artifacts"))
	for name, cache := range map[string]*artifact.Cache{"without a cache": nil, "with a cache": artifact.NewCache(t.TempDir(), nil)} {
		models := registry.New(registrymem.New(), files, &registry.Options{Cache: cache})
		var loaded *bundle.Bundle
		var err error
		require.Less(t, allocated(func() { _, err = models.Register(t.Context(), "m", packed, nil) }), little, name)
		require.NoError(t, err)
		require.Less(t, allocated(func() { loaded, _, err = models.Load(t.Context(), "m/1") }), little, name)
		require.NoError(t, err)
		var got []byte
		require.Less(t, allocated(func() { got, err = loaded.ReadFile(bundle.WeightsPart) }), 2*uint64(size), "read whole by who needs them, and once")
		require.NoError(t, err)
		require.True(t, bytes.Equal(weights, got))
	}
}

func TestRegisterRefusesAFileThatChanged(t *testing.T) {
	packed, dir, weights := largeBundle(t, 2<<20)
	weights[0] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(dir, bundle.WeightsPart), weights, 0o600))
	store := registrymem.New()
	models := registry.New(store, artifact.Memory(), nil)
	_, err := models.Register(t.Context(), "m", packed, nil)
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.ErrorContains(t, err, bundle.WeightsPart)
	_, err = store.Version(t.Context(), "m", 1)
	require.ErrorIs(t, err, registry.ErrNotFound)
}

// countingFiles counts what is asked of an artifact store.
type countingFiles struct {
	artifact.Store
	mu    sync.Mutex
	asked int
}

func (c *countingFiles) GetRange(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	return c.Store.GetRange(ctx, digest, offset, length)
}

func TestLoadFromTheCache(t *testing.T) {
	packed, _, weights := largeBundle(t, 2<<20)
	store, files, folder := registrymem.New(), &countingFiles{Store: artifact.Memory()}, t.TempDir()
	client := func() (*registry.Client, *artifact.Cache) {
		cache := artifact.NewCache(folder, nil)
		return registry.New(store, files, &registry.Options{Cache: cache}), cache
	}
	models, cache := client()
	_, err := models.Register(t.Context(), "m", packed, nil)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			b, _, err := models.Load(context.Background(), "m/1")
			if err == nil {
				_, err = b.ReadFile(bundle.WeightsPart)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 3, files.asked, "each file was fetched once: the manifest, MLmodel, the weights")
	require.EqualValues(t, 3, cache.Stats().Fetched)

	files.Store = artifact.Memory() // the store is gone
	models, cache = client()        // and the process is another
	for range 3 {
		b, _, err := models.Load(t.Context(), "m/1")
		require.NoError(t, err)
		got, err := b.ReadFile(bundle.WeightsPart)
		require.NoError(t, err)
		require.True(t, bytes.Equal(weights, got))
	}
	require.EqualValues(t, 3, cache.Stats().Verified, "each file once")
	require.Equal(t, 3, files.asked)
}

// A bundle that is in use outlives its files in the cache.
func TestLoadedBundleAfterEviction(t *testing.T) {
	packed, _, weights := largeBundle(t, 2<<20)
	folder := t.TempDir()
	models := registry.New(registrymem.New(), artifact.Memory(), &registry.Options{Cache: artifact.NewCache(folder, nil)})
	_, err := models.Register(t.Context(), "m", packed, nil)
	require.NoError(t, err)
	b, _, err := models.Load(t.Context(), "m/1")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(folder))
	got, err := b.ReadFile(bundle.WeightsPart)
	require.NoError(t, err)
	require.True(t, bytes.Equal(weights, got))
}

// Damage to a large file shows when the cache fetches it, or else when it is read.
func TestLoadFindsDamageOfALargeFile(t *testing.T) {
	packed, _, weights := largeBundle(t, 2<<20)
	store, folder := registrymem.New(), t.TempDir()
	models := registry.New(store, artifact.Dir(folder), nil)
	_, err := models.Register(t.Context(), "m", packed, nil)
	require.NoError(t, err)
	weights[1<<20] ^= 1
	for _, f := range packed.Files() {
		if f.Path == bundle.WeightsPart {
			require.NoError(t, os.WriteFile(blobs(t, folder)[f.Digest], weights, 0o600))
		}
	}
	b, _, err := models.Load(t.Context(), "m/1")
	require.NoError(t, err)
	_, err = b.ReadFile(bundle.WeightsPart)
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.ErrorContains(t, err, bundle.WeightsPart)
	require.ErrorIs(t, b.Verify(t.Context()), registry.ErrCorrupt)

	cached := registry.New(store, artifact.Dir(folder), &registry.Options{Cache: artifact.NewCache(t.TempDir(), nil)})
	_, _, err = cached.Load(t.Context(), "m/1")
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.ErrorContains(t, err, bundle.WeightsPart)
}
