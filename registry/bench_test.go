package registry_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// BenchmarkLoad loads a bundle of 16 MiB from a folder, verifying it. The named
// baseline is crypto/sha256 over the same bytes in memory, once: the metric
// load/sha256 says how many times its time a load takes. Loading hashes twice,
// once in the artifact store and once in the bundle, which trusts no store.
func BenchmarkLoad(b *testing.B) {
	const size = 16 << 20
	weights := make([]byte, size)
	for i := range weights {
		weights[i] = byte(i * 7)
	}
	models := registry.New(registrymem.New(), artifact.Dir(b.TempDir()), nil)
	packed, err := bundle.New(bundle.Spec{Flavor: "x", CreatedAt: time.Unix(1e9, 0)}, map[string][]byte{bundle.WeightsPart: weights})
	require.NoError(b, err)
	_, err = models.Register(b.Context(), "m", packed, nil)
	require.NoError(b, err)

	b.SetBytes(size)
	var baseline time.Duration
	for b.Loop() {
		_, _, err := models.Load(b.Context(), "m/1")
		require.NoError(b, err)
		b.StopTimer()
		start := time.Now()
		sha256.Sum256(weights)
		baseline += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/baseline.Seconds(), "load/sha256")
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
