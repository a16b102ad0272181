package main

import (
	"math"
	"math/rand/v2"
	"sort"
)

// rowsPerWeek is the block of the bootstrap: neighbouring rows are alike,
// whole weeks nearly independent.
const rowsPerWeek = 7 * rowsPerDay

// resamples is how many bootstrap samples the interval is read from.
const resamples = 10_000

// share returns the share of true values, NaN for none.
func share(hits []bool) float64 {
	if len(hits) == 0 {
		return math.NaN()
	}
	n := 0
	for _, hit := range hits {
		if hit {
			n++
		}
	}
	return float64(n) / float64(len(hits))
}

// weeklyInterval returns the 95 % interval of the difference of two accuracies
// on the same rows: a percentile bootstrap over whole weeks (B. Efron and
// R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13). It is NaN
// for fewer than two weeks.
func weeklyInterval(a, b []bool, seed uint64) (low, high float64) {
	var diffs, sizes []float64 // by week
	for start := 0; start < len(a); start += rowsPerWeek {
		end := min(start+rowsPerWeek, len(a))
		diff := 0.0
		for i := start; i < end; i++ {
			diff += point(a[i]) - point(b[i])
		}
		diffs, sizes = append(diffs, diff), append(sizes, float64(end-start))
	}
	if len(diffs) < 2 {
		return math.NaN(), math.NaN()
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	means := make([]float64, resamples)
	for i := range means {
		sum, rows := 0.0, 0.0
		for range diffs {
			week := rng.IntN(len(diffs))
			sum, rows = sum+diffs[week], rows+sizes[week]
		}
		means[i] = sum / rows
	}
	sort.Float64s(means)
	return means[resamples*25/1000], means[resamples*975/1000-1]
}

func point(hit bool) float64 {
	if hit {
		return 1
	}
	return 0
}
