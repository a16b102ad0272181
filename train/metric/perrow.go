package metric

import "github.com/mlloop/mlloop/internal/fault"

// PerRow returns one number a row, in the order of the rows, whose mean is the
// metric: the row's own hit or loss where the metric is a mean over rows, and
// for AUC the area plus the row's influence on it (DeLong's structural
// components over the sizes of their sides), whose sample variance over n is
// DeLong's variance up to a factor n/(n-1) of either side. The variance of a
// difference of two models on the same rows, and its autocorrelation, follow
// from the differences of these numbers.
//
// Errors: Invalid for scores that fail Scores.Check and, for AUC, where a class
// has no rows.
func (m Metric) PerRow(s Scores) ([]float64, error) {
	if err := s.Check(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "metric: %s a row: %w", m.Name, err)
	}
	if m.contribution != nil {
		rows := make([]float64, len(s.Labels))
		for i := range rows {
			rows[i] = m.contribution(s, i)
		}
		return rows, nil
	}
	if err := s.checkClasses(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "metric: %s a row: %w", m.Name, err)
	}
	area, rows, _ := s.areaInfluences()
	for i := range rows {
		rows[i] += area
	}
	return rows, nil
}

// areaInfluences returns the mean one-against-the-rest area (of two classes the
// area itself), each row's influence on it, which sum to 0, and the size of the
// smallest side. A row moves the mean by the sum of its influences on each area.
func (s Scores) areaInfluences() (mean float64, influence []float64, smallest int) {
	n, classes := float64(len(s.Labels)), s.Classes
	first := 0
	if classes == 2 {
		first = 1 // the area of class 0 is the same
	}
	k := float64(classes - first)
	influence = make([]float64, len(s.Labels))
	smallest = len(s.Labels)
	for c := first; c < classes; c++ {
		p := s.placements(c)
		mean += p.area / k
		smallest = min(smallest, p.inside, p.out)
		for i, v := range p.of {
			side := float64(p.out)
			if s.Labels[i] == c {
				side = float64(p.inside)
			}
			influence[i] += (v - p.area) * n / side / k
		}
	}
	return mean, influence, smallest
}
