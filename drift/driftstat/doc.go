// Package driftstat compares two samples: tests that give a p-value, distances
// that give an effect size, and corrections for many tests at once.
//
//	ks, err := driftstat.KS(reference, current)
//	if ks.P < 0.01 && ks.D > 0.1 {
//		fmt.Println("the column moved")
//	}
//
// Values come as plain slices, binned data as counts over the same bins in
// both samples; results are (value, error). Errors are of the kind
// fault.Invalid and say what is wrong with the input; no function panics on
// data or changes its arguments, and all are safe for concurrent use.
//
// NaN and ±Inf are left out of every sample, and the result says how many. The
// share of them is itself a signal: compare it with [TwoProportions].
//
// The p-values assume independent rows. Rows in time order seldom are; then
// train/profile's calibrated comparison is the one to use.
package driftstat
