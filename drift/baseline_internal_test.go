package drift

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/driftconcept"
)

// Against simulation: the mean run length between false alarms is the one asked for.
func TestThresholdGivesTheRunLength(t *testing.T) {
	const runLength, runs = 20_000, 200
	for _, rate := range []float64{0.02, 0.1, 0.3, 0.5, 0.8} {
		b := Baseline{Rows: 1, Mean: rate, Variance: rate * (1 - rate), Skew: rate * (1 - rate) * (1 - 2*rate), Inflation: 1}
		delta := 0.1 * math.Sqrt(b.Variance)
		rng := rand.New(rand.NewPCG(3, 3))
		d := driftconcept.NewPageHinkley(&driftconcept.PageHinkleyOptions{
			Delta: delta, Lambda: b.threshold(delta, runLength), Fade: 1, MinRows: 1, Mean: rate, MeanRows: 1 << 40, // a known mean
		})
		rows := 0
		for alarms := 0; alarms < runs; rows++ {
			x := 0.0
			if rng.Float64() < rate {
				x = 1
			}
			if d.Update(x) == driftconcept.Drift {
				alarms++
			}
		}
		mean := float64(rows) / runs
		t.Logf("error rate %g: mean run length %.0f", rate, mean)
		require.Greater(t, mean, 0.6*runLength, "error rate %g", rate)
		require.Less(t, mean, 2.5*runLength, "error rate %g", rate)
	}
}

// scipy.stats.chi2.ppf(0.99, df)
func TestChiSquareQuantile(t *testing.T) {
	for df, want := range map[float64]float64{9: 21.6660, 20: 37.5662, 100: 135.8067, 1000: 1106.969} {
		require.InEpsilon(t, want, chiSquare99(df), 3e-3)
	}
}
