package driftstat_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/driftstat"
	"github.com/mlloop/mlloop/internal/fault"
)

func TestBadInputIsAnErrorThatSaysWhat(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		run  func() error
		want string
	}{
		"all values missing":  {func() error { _, err := driftstat.KS([]float64{nan, nan}, []float64{1, 2}); return err }, "0 reference and 2 current"},
		"one value":           {func() error { _, err := driftstat.KS([]float64{1}, []float64{1, 2}); return err }, "not enough data"},
		"nothing to move":     {func() error { _, err := driftstat.Wasserstein(nil, []float64{1}); return err }, "not enough data"},
		"different bins":      {func() error { _, err := driftstat.PSI([]int64{1, 2}, []int64{1}, driftstat.Laplace); return err }, "2 reference and 1 current bins"},
		"no bins":             {func() error { _, err := driftstat.Hellinger(nil, nil); return err }, "at least one"},
		"negative count":      {func() error { _, err := driftstat.ChiSquare([]int64{1, -2}, []int64{1, 1}); return err }, "bin 1: count -2"},
		"empty sample":        {func() error { _, err := driftstat.JensenShannon([]int64{1, 2}, []int64{0, 0}); return err }, "not enough data"},
		"unknown filling":     {func() error { _, err := driftstat.PSI([]int64{1}, []int64{1}, 9); return err }, "unknown way 9"},
		"more hits than rows": {func() error { _, err := driftstat.TwoProportions(3, 2, 1, 2); return err }, "3 of 2"},
		"p above one":         {func() error { _, err := driftstat.Adjust([]float64{0.1, 1.5}, driftstat.Holm); return err }, "p-value 1 is 1.5"},
		"p is NaN":            {func() error { _, err := driftstat.Adjust([]float64{nan}, driftstat.Holm); return err }, "p-value 0"},
		"unknown correction":  {func() error { _, err := driftstat.Adjust(nil, 9); return err }, "unknown correction 9"},
	} {
		err := c.run()
		require.ErrorIs(t, err, fault.Invalid, name)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestArgumentsAreLeftAsTheyAre(t *testing.T) {
	ref, cur := []float64{3, 1, math.NaN(), 2}, []float64{9, math.Inf(-1), 4, 5}
	before := [][]float64{slices.Clone(ref[:2]), slices.Clone(cur[2:])}
	ks, err := driftstat.KS(ref, cur)
	require.NoError(t, err)
	require.Equal(t, 1, ks.RefMissing)
	require.Equal(t, 1, ks.CurMissing)
	require.Equal(t, before, [][]float64{ref[:2], cur[2:]})
}

// The exact law against brute force: every arrangement of both samples.
func TestKSExactAgreesWithEveryArrangement(t *testing.T) {
	for _, size := range [][2]int{{2, 2}, {3, 5}, {4, 4}, {6, 3}} {
		n, m := size[0], size[1]
		seen := map[float64]int{}
		all := 0
		for mask := range 1 << (n + m) {
			var ref, cur []float64
			for i := range n + m {
				if mask>>i&1 == 1 {
					ref = append(ref, float64(i))
				} else {
					cur = append(cur, float64(i))
				}
			}
			if len(ref) != n {
				continue
			}
			ks, err := driftstat.KS(ref, cur)
			require.NoError(t, err)
			seen[ks.D]++
			all++
		}
		for d := range seen {
			atLeast := 0
			for other, count := range seen {
				if other >= d-1e-12 {
					atLeast += count
				}
			}
			require.InDelta(t, float64(atLeast)/float64(all), driftstat.KSExact(d, n, m), 1e-12)
		}
	}
}

func TestDistancesAreSymmetricAndZeroOnlyForEqualShares(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a, b := make([]int64, 1+rng.IntN(8)), []int64(nil)
		for i := range a {
			a[i] = rng.Int64N(50)
			b = append(b, rng.Int64N(50))
		}
		a[0]++
		b[0]++
		for _, distance := range []func(ref, cur []int64) (float64, error){driftstat.JensenShannon, driftstat.Hellinger, driftstat.TotalVariation} {
			ab, err := distance(a, b)
			require.NoError(t, err)
			ba, err := distance(b, a)
			require.NoError(t, err)
			require.InDelta(t, ab, ba, 1e-12)
			require.LessOrEqual(t, ab, 1+1e-12)
			same, err := distance(a, a)
			require.NoError(t, err)
			require.InDelta(t, 0, same, 1e-7)
		}
	}
}

// A million current rows against a frozen histogram, with copying the counts as the yardstick.
func BenchmarkBinnedDistances(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	ref, cur := make([]int64, 100), make([]int64, 100)
	for i := range 1_000_000 {
		ref[rng.IntN(100)]++
		cur[i%100]++
	}
	for b.Loop() {
		_, _ = driftstat.PSI(ref, cur, driftstat.Laplace)
		_, _ = driftstat.JensenShannon(ref, cur)
		_, _ = driftstat.Hellinger(ref, cur)
		_, _ = driftstat.ChiSquare(ref, cur)
	}
}

func BenchmarkKS(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	ref, cur := make([]float64, 1_000_000), make([]float64, 1_000_000)
	for i := range ref {
		ref[i], cur[i] = rng.NormFloat64(), rng.NormFloat64()
	}
	for b.Loop() {
		_, _ = driftstat.KS(ref, cur)
	}
}
