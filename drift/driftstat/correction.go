package driftstat

import (
	"math"
	"sort"

	"github.com/mlloop/mlloop/internal/fault"
)

// Correction adjusts p-values for the number of tests made together. A test is
// rejected at level α when its adjusted p-value is at most α.
type Correction int

// The corrections. Bonferroni and Holm bound the chance of any false
// rejection; BH and BY the expected share of false ones among the rejected.
const (
	// BenjaminiHochberg needs independent or positively dependent tests
	// (Benjamini and Hochberg 1995).
	BenjaminiHochberg Correction = iota
	// BenjaminiYekutieli holds under any dependence (Benjamini and Yekutieli 2001).
	BenjaminiYekutieli
	// Holm steps down (Holm 1979); any dependence.
	Holm
	// Bonferroni multiplies by the number of tests; any dependence.
	Bonferroni
)

// Adjust returns the adjusted p-values in the order of p, each in 0..1. No
// tests give an empty slice. Errors: Invalid for a p-value outside 0..1 (NaN
// too) or an unknown correction.
func Adjust(p []float64, c Correction) ([]float64, error) {
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return nil, fault.Errorf(fault.Invalid, "driftstat: adjust: p-value %d is %g: want 0 to 1", i, v)
		}
	}
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return p[order[a]] < p[order[b]] })
	n := float64(len(p))
	out := make([]float64, len(p))
	switch c {
	case Bonferroni:
		for i, v := range p {
			out[i] = min(1, v*n)
		}
	case Holm:
		running := 0.0
		for rank, i := range order {
			running = max(running, p[i]*(n-float64(rank)))
			out[i] = min(1, running)
		}
	case BenjaminiHochberg, BenjaminiYekutieli:
		factor := 1.0
		if c == BenjaminiYekutieli {
			factor = harmonic(len(p))
		}
		running := math.Inf(1)
		for rank := len(order) - 1; rank >= 0; rank-- {
			i := order[rank]
			running = min(running, p[i]*n*factor/float64(rank+1))
			out[i] = min(1, running)
		}
	default:
		return nil, fault.Errorf(fault.Invalid, "driftstat: adjust: unknown correction %d", c)
	}
	return out, nil
}

// harmonic is Σ 1/i for i up to n.
func harmonic(n int) float64 {
	sum := 0.0
	for i := 1; i <= n; i++ {
		sum += 1 / float64(i)
	}
	return sum
}
