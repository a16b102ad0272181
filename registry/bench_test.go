package registry_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// hundred is the size of the weights in these benchmarks.
const hundred = 100_000_000

// BenchmarkRegisterFromFolder opens a bundle of 100 MB in a folder and registers
// it into another. The named baseline copies the same files as cp does and then
// hashes them as sha256sum does, with the same folders made and the same fsyncs: one
// for each file and three for the names above it. The metric cp+sha256/register
// is the part of the baseline's speed that Register has. MB-allocated is all memory
// that it allocated, whether freed meanwhile or not, in MB.
func BenchmarkRegisterFromFolder(b *testing.B) {
	packed, dir, _ := largeBundle(b, hundred)
	names := []string{bundle.ManifestFile}
	for _, f := range packed.Files() {
		names = append(names, f.Path)
	}
	b.SetBytes(hundred)
	var baseline time.Duration
	var before, after runtime.MemStats
	var all uint64
	for b.Loop() {
		b.StopTimer()
		target, copies := b.TempDir(), b.TempDir()
		start := time.Now()
		for _, name := range names {
			require.NoError(b, copyAndHash(filepath.Join(dir, name), copies))
		}
		baseline += time.Since(start)
		runtime.ReadMemStats(&before)
		b.StartTimer()
		opened, err := bundle.OpenDir(dir)
		require.NoError(b, err)
		_, err = registry.New(registrymem.New(), artifact.Dir(target), nil).Register(b.Context(), "m", opened, nil)
		require.NoError(b, err)
		b.StopTimer()
		runtime.ReadMemStats(&after)
		all = max(all, after.TotalAlloc-before.TotalAlloc)
		require.NoError(b, errors.Join(os.RemoveAll(target), os.RemoveAll(copies)))
		b.StartTimer()
	}
	b.ReportMetric(baseline.Seconds()/b.Elapsed().Seconds(), "cp+sha256/register")
	b.ReportMetric(float64(all)/1e6, "MB-allocated")
}

// copyAndHash copies a file to a new folder two levels below dir, durably, and
// hashes the copy.
func copyAndHash(name, dir string) error {
	source, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // opened for reading
	hashed := sha256.Sum256([]byte(name))
	first := filepath.Join(dir, hex.EncodeToString(hashed[:1]))
	second := filepath.Join(first, "x")
	if err := os.MkdirAll(second, 0o777); err != nil {
		return err
	}
	target, err := os.Create(filepath.Join(second, filepath.Base(name)))
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err = errors.Join(err, target.Sync(), target.Close()); err != nil {
		return err
	}
	for _, folder := range []string{dir, first, second} {
		f, err := os.Open(folder)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	again, err := os.Open(target.Name())
	if err != nil {
		return err
	}
	_, err = io.Copy(sha256.New(), again)
	return errors.Join(err, again.Close())
}

// BenchmarkLoad loads a bundle of 100 MB from a folder and reads its weights: by
// a client without a cache, by one whose cache has the files and has verified them
// (warm), and by a process that finds them in the cache (next). The metric
// cold/load is the time of the same by a client whose cache is empty, over it:
// how many times faster than cold.
func BenchmarkLoad(b *testing.B) {
	packed, _, _ := largeBundle(b, hundred)
	store, files := registrymem.New(), artifact.Dir(b.TempDir())
	_, err := registry.New(store, files, nil).Register(b.Context(), "m", packed, nil)
	require.NoError(b, err)
	load := func(b *testing.B, cache *artifact.Cache) {
		loaded, _, err := registry.New(store, files, &registry.Options{Cache: cache}).Load(b.Context(), "m/1")
		require.NoError(b, err)
		_, err = loaded.ReadFile(bundle.WeightsPart)
		require.NoError(b, err)
	}
	folder := b.TempDir()
	warm := artifact.NewCache(folder, nil)
	load(b, warm)
	caches := []struct {
		name string
		make func() *artifact.Cache
	}{
		{"none", func() *artifact.Cache { return nil }},
		{"warm", func() *artifact.Cache { return warm }},
		{"next", func() *artifact.Cache { return artifact.NewCache(folder, nil) }},
	}
	for _, c := range caches {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(hundred)
			var cold time.Duration
			for b.Loop() {
				load(b, c.make())
				b.StopTimer()
				start := time.Now()
				load(b, artifact.NewCache(b.TempDir(), nil))
				cold += time.Since(start)
				b.StartTimer()
			}
			b.ReportMetric(cold.Seconds()/b.Elapsed().Seconds(), "cold/load")
		})
	}
}

func BenchmarkRegister(b *testing.B) {
	models := registry.New(registrymem.New(), artifact.Memory(), nil)
	packed, err := bundle.New(bundle.Spec{Flavor: "x", CreatedAt: time.Unix(1e9, 0)}, map[string][]byte{bundle.WeightsPart: make([]byte, 64<<10)})
	require.NoError(b, err)
	for b.Loop() {
		_, err := models.Register(b.Context(), "m", packed, nil)
		require.NoError(b, err)
	}
}
