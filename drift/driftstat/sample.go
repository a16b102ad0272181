package driftstat

import (
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
)

// Clean returns the finite values of xs in a new slice, and how many were NaN
// or infinite.
func Clean(xs []float64) (finite []float64, missing int) {
	finite = make([]float64, 0, len(xs))
	for _, x := range xs {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			finite = append(finite, x)
		}
	}
	return finite, len(xs) - len(finite)
}

// pair is the finite values of two samples in ascending order.
type pair struct {
	ref, cur               []float64
	refMissing, curMissing int
}

// sortedPair cleans and sorts both samples, of which each needs at least
// least finite values.
func sortedPair(ref, cur []float64, least int) (pair, error) {
	var p pair
	p.ref, p.refMissing = Clean(ref)
	p.cur, p.curMissing = Clean(cur)
	if len(p.ref) < least || len(p.cur) < least {
		return p, fault.Errorf(fault.Invalid, "driftstat: %d reference and %d current values are not enough data: want at least %d of each",
			len(p.ref), len(p.cur), least)
	}
	slices.Sort(p.ref)
	slices.Sort(p.cur)
	return p, nil
}

// walk calls visit at every distinct pooled value but the last: i of the
// reference values and j of the current ones are at or below it, and width is
// the distance to the next value.
func (p pair) walk(visit func(i, j int, width float64)) {
	i, j := 0, 0
	for i < len(p.ref) && j < len(p.cur) {
		at := min(p.ref[i], p.cur[j])
		i, j = skip(p.ref, i, at), skip(p.cur, j, at)
		visit(i, j, p.next(i, j)-at)
	}
	// One sample is used up; its distribution function is 1 from here on.
	for i < len(p.ref) {
		at := p.ref[i]
		if i = skip(p.ref, i, at); i < len(p.ref) {
			visit(i, j, p.ref[i]-at)
		}
	}
	for j < len(p.cur) {
		at := p.cur[j]
		if j = skip(p.cur, j, at); j < len(p.cur) {
			visit(i, j, p.cur[j]-at)
		}
	}
}

// next returns the smallest value not yet passed; the last one at the end.
func (p pair) next(i, j int) float64 {
	switch {
	case i < len(p.ref) && j < len(p.cur):
		return min(p.ref[i], p.cur[j])
	case i < len(p.ref):
		return p.ref[i]
	case j < len(p.cur):
		return p.cur[j]
	}
	return max(p.ref[i-1], p.cur[j-1])
}

func skip(sorted []float64, i int, at float64) int {
	for i < len(sorted) && sorted[i] <= at {
		i++
	}
	return i
}
