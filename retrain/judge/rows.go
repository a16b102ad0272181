package judge

import (
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/metric"
)

// leastLabels is what RowsFor answers at least.
const leastLabels = 100

// assumedCorrelation is that of two models' losses on the same rows, before
// both are known. Models of one data set's rows mostly agree more.
const assumedCorrelation = 0.5

// RowsFor returns how many paired rows NonInferior needs to pass an equal
// challenger with the wanted power, before there is a challenger: at least 100.
// The variance of a row's difference is taken from the champion's own rows, in
// the order of time: twice their variance times 1-½, as if the losses of the two
// were correlated by a half, with the blocks that their autocorrelation asks for.
// The normal formula is ((z₁₋α + z_power) / margin)² times that variance (Julious,
// Statistics in Medicine 23, 2004).
//
// Errors: Invalid for an unknown metric, scores that fail Scores.Check, a margin
// that is not positive, options out of range, and for AUC a class without rows.
func RowsFor(name string, champion metric.Scores, margin float64, o *Options) (int, error) {
	return neededRows("rows for", name, champion, champion, margin, o, func(m metric.Metric) (series, float64, error) {
		s, err := armSeries(m, champion)
		return s, 2 * (1 - assumedCorrelation), err
	})
}

// RowsFromPilot is RowsFor with the variance of the differences of two models
// that have answered some rows alike, in the order of time: the pilot.
func RowsFromPilot(name string, challenger, champion metric.Scores, margin float64, o *Options) (int, error) {
	return neededRows("rows from a pilot for", name, challenger, champion, margin, o, func(m metric.Metric) (series, float64, error) {
		s, err := pairedSeries(m, challenger, champion)
		return s, 1, err
	})
}

func neededRows(what, name string, a, b metric.Scores, margin float64, o *Options,
	rows func(metric.Metric) (series, float64, error)) (int, error) {
	m, opts, err := checkQuestion(what, name, a, b, margin, o)
	if err != nil {
		return 0, err
	}
	if margin == 0 || len(b.Labels) != len(a.Labels) {
		return 0, fault.Errorf(fault.Invalid, "judge: %s %s: margin %v: want more than 0, and both on the same rows", what, name, margin)
	}
	s, factor, err := rows(m)
	if err != nil {
		return 0, fault.Errorf(fault.Kind(err), "judge: %s %s: %w", what, name, err)
	}
	var e estimate
	e.add(s, 1)
	variance := e.variance * float64(len(s.gain)) * factor
	if !e.known { // too few for blocks: as if independent, and of the floor's size at least
		variance = factor * max(meanVariance(s.gain)*float64(len(s.gain)), s.floor*s.floor)
	}
	return max(leastLabels, rowsOf(variance, margin, opts)), nil
}

func rowsOf(variance, margin float64, o Options) int {
	z := math.Sqrt2 * (math.Erfinv(1-2*o.Alpha) + math.Erfinv(2*o.Power-1))
	return rowsFor(variance * (z / margin) * (z / margin))
}

// Relative returns the margin that is the fraction of the champion's metric:
// 0.02 of a log-loss of 0.5 is 0.01. It is 0 where the metric is. Errors: Invalid
// as for metric.Metric.Evaluate, and for a fraction that is negative or not finite.
func Relative(name string, champion metric.Scores, fraction float64) (float64, error) {
	var problems fault.Problems
	m, err := metric.ByName(name)
	if err != nil {
		problems.Addf("%s", err)
	}
	checkMargin(&problems, fraction)
	if err := problems.Err(); err != nil {
		return 0, fault.Errorf(fault.Invalid, "judge: margin relative to %s: %w", name, err)
	}
	rows, err := m.PerRow(champion)
	if err != nil {
		return 0, fault.Errorf(fault.Kind(err), "judge: margin relative to %s: %w", name, err)
	}
	var sum float64
	for _, v := range rows {
		sum += v
	}
	return fraction * sum / float64(len(rows)), nil
}
