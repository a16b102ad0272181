package metric_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mlloop/mlloop/train/metric"
)

// BenchmarkAUC compares the area with its interval to nothing but sorting the
// same scores, which any exact area needs.
func BenchmarkAUC(b *testing.B) {
	s := binormal(rand.New(rand.NewPCG(1, 2)), 25_000, 1)
	ones := make([]float64, len(s.Labels))
	for i := range ones {
		ones[i] = s.Probabilities[2*i+1]
	}
	var sorting time.Duration
	for b.Loop() {
		b.StopTimer()
		start := time.Now()
		slices.Sort(slices.Clone(ones))
		sorting += time.Since(start)
		b.StartTimer()
		if _, err := metric.AUC(s, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(sorting), "x-sort")
}

func BenchmarkDifferenceByBlocks(b *testing.B) {
	x, y, ids := blocky(rand.New(rand.NewPCG(1, 2)), 100, 336, 0.02)
	for b.Loop() {
		if _, err := metric.Difference("accuracy", x, y, &metric.Options{Blocks: ids}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDifferenceAUC(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := binormal(rng, 1000, 1), binormal(rng, 1000, 1.2)
	for b.Loop() {
		if _, err := metric.Difference("auc", x, y, nil); err != nil {
			b.Fatal(err)
		}
	}
}
