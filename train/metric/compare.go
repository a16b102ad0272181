package metric

import (
	"slices"

	"gonum.org/v1/gonum/mathext"

	"github.com/mlloop/mlloop/internal/fault"
)

// Difference returns the named metric of a minus that of b, two models' answers
// to the same rows, with the percentile interval of a paired bootstrap (Efron
// and Tibshirani 1993): rows, or whole Blocks, are drawn for both models alike.
// An interval without 0 tells the models apart; whether more is better says
// Metric.HigherBetter.
//
// Errors: Invalid for an unknown metric, scores that fail Scores.Check, labels
// or classes that differ between a and b, fewer than two rows or blocks, and an
// AUC that is undefined on most resamples.
func Difference(name string, a, b Scores, opts *Options) (Result, error) {
	m, err := ByName(name)
	if err != nil {
		return Result{}, err
	}
	o, err := opts.withDefaults(len(a.Labels))
	if err == nil {
		err = checkPaired(a, b)
	}
	if err != nil {
		return Result{}, fault.Errorf(fault.Invalid, "metric: difference of %s: %w", name, err)
	}
	r, err := m.bootstrap(o, a, b)
	if err != nil {
		return Result{}, fault.Errorf(fault.Kind(err), "metric: difference of %s: %w", name, err)
	}
	r.Name, r.N, r.Level, r.Method = name, len(a.Labels), o.Level, "paired "+r.Method
	return r, nil
}

// checkPaired reports everything that keeps a and b from being compared.
func checkPaired(a, b Scores) error {
	var problems fault.Problems
	if err := a.Check(); err != nil {
		problems.Addf("first scores: %s", err)
	}
	if err := b.Check(); err != nil {
		problems.Addf("second scores: %s", err)
	}
	if a.Classes != b.Classes {
		problems.Addf("%d classes against %d", a.Classes, b.Classes)
	}
	if !slices.Equal(a.Labels, b.Labels) {
		problems.Addf("the labels differ: both must answer the same rows in the same order")
	}
	return problems.Err()
}

// McNemarResult is McNemar's test of whether two models err equally often.
type McNemarResult struct {
	OnlyA int     `json:"only_a"` // rows that only the first model gets right
	OnlyB int     `json:"only_b"` // rows that only the second model gets right
	Exact float64 `json:"exact"`  // two-sided exact p-value
	MidP  float64 `json:"mid_p"`  // two-sided mid-p value
}

// McNemar tests on the rows that only one of two models gets right whether both
// are equally often right: given their number, the first model's share is then
// binomial with ½ (McNemar 1947). The exact p-value never rejects too often; the
// mid-p value counts the observed split half and is the better one of the two in
// practice (Fagerland, Lydersen and Laake 2013). Without such rows both are 1.
// It takes rows for independent. Errors: Invalid as for Difference.
func McNemar(a, b Scores) (McNemarResult, error) {
	if err := checkPaired(a, b); err != nil {
		return McNemarResult{}, fault.Errorf(fault.Invalid, "metric: mcnemar: %w", err)
	}
	var r McNemarResult
	for i, y := range a.Labels {
		rightA, rightB := a.predicted(i) == y, b.predicted(i) == y
		switch {
		case rightA && !rightB:
			r.OnlyA++
		case rightB && !rightA:
			r.OnlyB++
		}
	}
	k, n := min(r.OnlyA, r.OnlyB), r.OnlyA+r.OnlyB
	r.Exact = min(1, 2*fairCDF(k, n))
	if 2*k == n { // the split is even: all of the distribution is as extreme
		r.Exact, r.MidP = 1, 1-(fairCDF(k, n)-fairCDF(k-1, n))
		if n == 0 {
			r.MidP = 1
		}
		return r, nil
	}
	r.MidP = fairCDF(k, n) + fairCDF(k-1, n) // 2·(P(X≤k) - ½·P(X=k))
	return r, nil
}

// fairCDF is the probability of at most k heads in n tosses of a fair coin.
func fairCDF(k, n int) float64 {
	switch {
	case k < 0:
		return 0
	case k >= n:
		return 1
	}
	return mathext.RegIncBeta(float64(n-k), float64(k+1), 0.5)
}
