package driftstat

import (
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// Zeros says what a divergence does with a bin that is empty in one sample,
// where a logarithm would be infinite.
type Zeros int

// The ways to fill empty bins.
const (
	// Laplace adds half a row to every bin: share (c+½)/(n+k/2). The default:
	// it shrinks with the sample, so that small windows do not exaggerate.
	Laplace Zeros = iota
	// Floor raises every share to at least 0.0001.
	Floor
	// Fill replaces a zero share by 0.0001, or by a millionth of the sample's
	// smallest share above zero when that is 0.0001 or less (as Evidently does).
	Fill
)

const smallShare = 1e-4

// shares returns the histogram as shares, filled as z says. Floor and Fill do
// not renormalise.
func (z Zeros) shares(counts []int64, n float64) []float64 {
	out := make([]float64, len(counts))
	smallest := 1.0
	for i, c := range counts {
		if z == Laplace {
			out[i] = (float64(c) + 0.5) / (n + 0.5*float64(len(counts)))
			continue
		}
		out[i] = float64(c) / n
		if c > 0 {
			smallest = min(smallest, out[i])
		}
	}
	fill := smallShare
	if z == Fill && smallest <= smallShare {
		fill = smallest / 1e6
	}
	for i, s := range out {
		switch {
		case z == Floor:
			out[i] = max(s, smallShare)
		case z == Fill && s == 0:
			out[i] = fill
		}
	}
	return out
}

// PSI returns the population stability index Σ (p−q)·ln(p/q) of two histograms
// over the same bins; empty bins are filled as zeros says. The usual reading
// is below 0.1 stable, 0.1 to 0.25 moderate, above 0.25 major; but without any
// drift it is already about (k−1)·(1/n+1/m) for k bins, n and m independent
// rows. Errors: Invalid for different numbers of bins, negative counts, an
// empty sample, or an unknown zeros.
func PSI(ref, cur []int64, zeros Zeros) (float64, error) {
	n, m, err := total(ref, cur)
	if err != nil {
		return 0, err
	}
	if zeros < Laplace || zeros > Fill {
		return 0, fault.Errorf(fault.Invalid, "driftstat: psi: unknown way %d to fill empty bins", zeros)
	}
	p, q := zeros.shares(ref, n), zeros.shares(cur, m)
	sum := 0.0
	for i := range p {
		sum += (p[i] - q[i]) * math.Log(p[i]/q[i])
	}
	return sum, nil
}

// JensenShannon returns the Jensen-Shannon distance of two histograms over the
// same bins: the square root of the divergence in nats, 0 to sqrt(ln 2) ≈
// 0.8326. Divide by sqrt(ln 2) for base 2. Empty bins need no filling.
// Errors: Invalid as for [PSI].
func JensenShannon(ref, cur []int64) (float64, error) {
	d, err := fold(ref, cur, func(p, q float64) float64 {
		mean := (p + q) / 2
		return (xlogy(p, p/mean) + xlogy(q, q/mean)) / 2
	})
	return math.Sqrt(d), err
}

// Hellinger returns the Hellinger distance sqrt(½·Σ (√p−√q)²) of two
// histograms over the same bins, 0 to 1. Errors: Invalid as for [PSI].
func Hellinger(ref, cur []int64) (float64, error) {
	d, err := fold(ref, cur, func(p, q float64) float64 {
		return square(math.Sqrt(p)-math.Sqrt(q)) / 2
	})
	return math.Sqrt(d), err
}

// TotalVariation returns ½·Σ |p−q| of two histograms over the same bins: the
// share of rows that would have to change bins, 0 to 1. Errors: Invalid as for
// [PSI].
func TotalVariation(ref, cur []int64) (float64, error) {
	return fold(ref, cur, func(p, q float64) float64 { return math.Abs(p-q) / 2 })
}

// fold returns the sum of term over the bins' shares, at least 0.
func fold(ref, cur []int64, term func(p, q float64) float64) (float64, error) {
	n, m, err := total(ref, cur)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range ref {
		sum += term(float64(ref[i])/n, float64(cur[i])/m)
	}
	return max(sum, 0), nil // rounding may leave −1e-17
}

// xlogy is x·ln(y), 0 for x = 0.
func xlogy(x, y float64) float64 {
	if x == 0 {
		return 0
	}
	return x * math.Log(y)
}
