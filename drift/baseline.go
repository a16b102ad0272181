package drift

import (
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
)

// Baseline is the law of a model's usual errors.
type Baseline struct {
	Rows     int     `json:"rows"`     // errors it was learned from
	Mean     float64 `json:"mean"`     // μ
	Variance float64 `json:"variance"` // σ², of the population
	Skew     float64 `json:"skew"`     // third cumulant κ₃: mean of (x−μ)³
	// Inflation is the variance of sums of errors against that of independent
	// ones, at least 1: the largest b·Var(means of blocks of b)/σ² over
	// b = 2, 4, 8 … with at least ten blocks. A ratio counts only when it is
	// above 1 by more than chance, at 99 % by the chi-square law of a variance.
	Inflation float64 `json:"inflation"`
}

// leastBlocks is how many block means an estimate of their variance needs.
const leastBlocks = 10

// NewBaseline learns the law from errors in the order of time, on rows that the
// model was not fitted on: 0 or 1 a row for labels, absolute for numbers, or
// what Options.Error says. Those that are NaN, infinite or beyond ±10¹⁰⁰ are
// passed over. Equal errors, none at all above all, are given the variance of
// half an error more.
func NewBaseline(errors []float64) Baseline {
	errors = slices.DeleteFunc(slices.Clone(errors), func(x float64) bool { return !usable(x) })
	b := Baseline{Rows: len(errors), Inflation: 1}
	if len(errors) == 0 {
		return b
	}
	b.Mean, b.Variance = meanVariance(errors)
	for _, x := range errors {
		b.Skew += math.Pow(x-b.Mean, 3) / float64(len(errors))
	}
	if least := 0.5 / float64(len(errors)+1); b.Variance < least {
		b.Variance, b.Skew = least, 0
		return b
	}
	for size := 2; len(errors)/size >= leastBlocks; size *= 2 {
		_, variance := meanVariance(blockMeans(errors, size))
		df := float64(len(errors)/size - 1)
		ratio := float64(size) * variance * (df + 1) / df / b.Variance
		if ratio*df/chiSquare99(df) > 1 {
			b.Inflation = max(b.Inflation, ratio)
		}
	}
	return b
}

// merge is the law of both samples' errors together, by the sums of their
// moments (Pébay 2008). Blocks cannot be told from moments: the larger inflation
// counts.
func (b Baseline) merge(o Baseline) Baseline {
	if b.Rows == 0 {
		return o
	}
	if o.Rows == 0 {
		return b
	}
	n := float64(b.Rows + o.Rows)
	p, q := float64(b.Rows)/n, float64(o.Rows)/n
	apart := o.Mean - b.Mean
	return Baseline{
		Rows: b.Rows + o.Rows, Mean: p*b.Mean + q*o.Mean,
		Variance:  p*b.Variance + q*o.Variance + p*q*apart*apart,
		Skew:      p*b.Skew + q*o.Skew + p*q*(p-q)*math.Pow(apart, 3) + 3*p*q*apart*(o.Variance-b.Variance),
		Inflation: max(b.Inflation, o.Inflation),
	}
}

// check adds what is wrong with a law that NewBaseline cannot have learned.
func (b Baseline) check(problems *fault.Problems) {
	if b.Rows < 0 {
		problems.Addf("the usual errors are of %d rows", b.Rows)
	}
	if b.Rows <= 0 {
		return
	}
	lambda := b.threshold(math.Sqrt(max(b.Variance, 0)), 1e6)
	if !usable(b.Mean) || !(b.Variance > 0) || !(b.Inflation >= 1) || b.Inflation > maxInflation || !(lambda > 0) || math.IsInf(lambda, 0) {
		problems.Addf("the usual errors have mean %g, variance %g, third cumulant %g, inflation %g: no errors have; learn them with NewBaseline",
			b.Mean, b.Variance, b.Skew, b.Inflation)
	}
}

// maxInflation is more than the blocks of any errors can give.
const maxInflation = 1e9

func meanVariance(xs []float64) (mean, variance float64) {
	m2 := 0.0
	for i, x := range xs {
		old := mean
		mean += (x - old) / float64(i+1)
		m2 += (x - old) * (x - mean)
	}
	return mean, m2 / float64(len(xs))
}

func blockMeans(xs []float64, size int) []float64 {
	means := make([]float64, 0, len(xs)/size)
	for ; len(xs) >= size; xs = xs[size:] {
		mean, _ := meanVariance(xs[:size])
		means = append(means, mean)
	}
	return means
}

// chiSquare99 is the 99 % quantile of chi-square, by Wilson and Hilferty (1931).
func chiSquare99(df float64) float64 {
	v := 2 / (9 * df)
	return df * math.Pow(1-v+2.3263*math.Sqrt(v), 3)
}

// threshold returns λ for a Page-Hinkley detector that tolerates a rise of
// delta, as the package comment derives it.
func (b Baseline) threshold(delta, runLength float64) float64 {
	// The positive root of κ₃θ²/6 + σ²θ/2 = δ, in the form without cancellation.
	half := b.Variance / 2
	root := math.Sqrt(max(half*half+4*b.Skew/6*delta, 0))
	theta := 2 * delta / (half + root) / b.Inflation
	x := 1.0
	for range 100 { // a contraction: its slope is below one
		x = math.Log1p(x + runLength*delta*theta)
	}
	return x / theta
}
