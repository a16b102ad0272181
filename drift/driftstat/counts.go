package driftstat

import (
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/mlloop/mlloop/internal/fault"
)

// total checks two histograms over the same bins and returns their sums.
func total(ref, cur []int64) (n, m float64, err error) {
	var problems fault.Problems
	if len(ref) != len(cur) || len(ref) == 0 {
		problems.Addf("%d reference and %d current bins: want the same number, at least one", len(ref), len(cur))
	}
	for i, c := range ref {
		if c < 0 {
			problems.Addf("reference bin %d: count %d is negative", i, c)
		}
		n += float64(c)
	}
	for i, c := range cur {
		if c < 0 {
			problems.Addf("current bin %d: count %d is negative", i, c)
		}
		m += float64(c)
	}
	if len(problems) == 0 && (n == 0 || m == 0) {
		problems.Addf("%g reference and %g current rows are not enough data: want at least one of each", n, m)
	}
	if err := problems.Err(); err != nil {
		return 0, 0, fault.Errorf(fault.Invalid, "driftstat: %w", err)
	}
	return n, m, nil
}

// ChiSquareTest is the result of the chi-square test on a 2×k table.
type ChiSquareTest struct {
	Statistic   float64
	DF          int     // categories that occur, less one
	P           float64 // P(χ²(DF) ≥ Statistic)
	MinExpected float64 // smallest expected count; below 5 the p-value is rough
	CramersV    float64 // effect size sqrt(χ²/N), 0..1
}

// ChiSquare tests whether the categories have the same shares in both samples:
// Pearson's test of homogeneity on the 2×k table of counts, without Yates's
// correction. A category that only one sample has is fine; one that neither
// has is left out. A single category gives Statistic 0, DF 0 and P 1.
// Errors: Invalid for different numbers of bins, negative counts, or an empty
// sample.
func ChiSquare(ref, cur []int64) (ChiSquareTest, error) {
	n, m, err := total(ref, cur)
	if err != nil {
		return ChiSquareTest{}, err
	}
	t := ChiSquareTest{DF: -1, P: 1, MinExpected: math.Inf(1)}
	for i := range ref {
		both := float64(ref[i]) + float64(cur[i])
		if both == 0 {
			continue
		}
		t.DF++
		wantRef, wantCur := both*n/(n+m), both*m/(n+m)
		t.Statistic += square(float64(ref[i])-wantRef)/wantRef + square(float64(cur[i])-wantCur)/wantCur
		t.MinExpected = min(t.MinExpected, wantRef, wantCur)
	}
	if t.DF == 0 {
		t.Statistic = 0
		return t, nil
	}
	t.P = ChiSquareSurvival(t.Statistic, t.DF)
	t.CramersV = math.Sqrt(t.Statistic / (n + m))
	return t, nil
}

// ChiSquareSurvival returns P(X ≥ x) for a chi-square variable of df degrees
// of freedom; 1 for x ≤ 0, and NaN for NaN or df below one.
func ChiSquareSurvival(x float64, df int) float64 {
	switch {
	case math.IsNaN(x) || df < 1:
		return math.NaN()
	case x <= 0:
		return 1
	case math.IsInf(x, 1):
		return 0
	}
	return mathext.GammaIncRegComp(float64(df)/2, x/2)
}

// ProportionTest is the result of the two-proportion test.
type ProportionTest struct {
	Z          float64 // positive when the current share is larger
	P          float64 // two-sided
	Difference float64 // current share less reference share
}

// TwoProportions tests whether refHits of refRows and curHits of curRows are
// the same share: the z test with the pooled share. When no row is a hit, or
// all are, Z is 0 and P is 1. Errors: Invalid for empty samples or hits
// outside 0..rows.
func TwoProportions(refHits, refRows, curHits, curRows int64) (ProportionTest, error) {
	if refRows < 1 || curRows < 1 || refHits < 0 || curHits < 0 || refHits > refRows || curHits > curRows {
		return ProportionTest{}, fault.Errorf(fault.Invalid, "driftstat: %d of %d and %d of %d are no proportions", refHits, refRows, curHits, curRows)
	}
	n, m := float64(refRows), float64(curRows)
	t := ProportionTest{P: 1, Difference: float64(curHits)/m - float64(refHits)/n}
	pooled := (float64(refHits) + float64(curHits)) / (n + m)
	if sd := math.Sqrt(pooled * (1 - pooled) * (1/n + 1/m)); sd > 0 {
		t.Z = t.Difference / sd
		t.P = math.Erfc(math.Abs(t.Z) / math.Sqrt2)
	}
	return t, nil
}

func square(x float64) float64 { return x * x }
