package feature

import (
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// fitColumn learns what the steps need of one column. The pipeline has been checked.
func (p Pipeline) fitColumn(t *frame.Table, f frame.Field) (column, error) {
	if p.oneHot(f.Name) {
		return p.fitCategories(t, f)
	}
	x, err := t.Floats(f.Name)
	if err != nil {
		return column{}, err
	}
	if i := slices.IndexFunc(x, func(v float64) bool { return math.IsInf(v, 0) }); i >= 0 {
		return column{}, fault.Errorf(fault.Invalid, "row %d is infinite", i)
	}
	c := column{field: f}
	for _, s := range p {
		if !s.appliesTo(p, f) {
			continue
		}
		step, err := fitStep(s.Op, f.Kind, x)
		if err != nil {
			return column{}, err
		}
		for i := range x {
			x[i] = step.apply(x[i])
		}
		c.steps = append(c.steps, step)
	}
	if i := slices.IndexFunc(x, math.IsNaN); i >= 0 {
		return column{}, fault.Errorf(fault.Invalid, "row %d is missing; add feature.Impute()", i)
	}
	return c, nil
}

func fitStep(op Op, kind frame.Kind, x []float64) (numericStep, error) {
	present := slices.DeleteFunc(slices.Clone(x), math.IsNaN)
	if len(present) == 0 {
		return numericStep{}, fault.Errorf(fault.Invalid, "every row is missing; leave it out of the inputs")
	}
	if op == OpStandardize {
		mean, std := meanStd(present)
		if math.IsInf(mean, 0) || math.IsInf(std, 0) || math.IsNaN(std) {
			return numericStep{}, fault.Errorf(fault.Invalid, "its values are too large to standardize")
		}
		return numericStep{op: op, mean: mean, std: std}, nil
	}
	slices.Sort(present)
	if kind == frame.Bool {
		return numericStep{op: op, fill: mode(present)}, nil
	}
	return numericStep{op: op, fill: median(present)}, nil
}

// fitCategories learns the categories of a column and, where it is imputed, the most frequent one.
func (p Pipeline) fitCategories(t *frame.Table, f frame.Field) (column, error) {
	values, err := t.Values(f.Name)
	if err != nil {
		return column{}, err
	}
	c := column{field: f}
	counts := map[frame.Value]int{}
	null := -1
	for i, v := range values {
		if v.IsNull() {
			if null < 0 {
				null = i
			}
			continue
		}
		if counts[v]++; len(counts) > MaxCategories {
			return c, fault.Errorf(fault.Invalid, "more than %d different values to one-hot encode; leave it out of the inputs, or group its values", MaxCategories)
		}
	}
	if len(counts) == 0 {
		return c, fault.Errorf(fault.Invalid, "every row is missing; leave it out of the inputs")
	}
	for v := range counts {
		c.categories = append(c.categories, v)
	}
	slices.SortFunc(c.categories, frame.Value.Compare)
	if slices.ContainsFunc(p, func(s Step) bool { return s.Op == OpImpute && s.appliesTo(p, f) }) {
		c.fill = slices.MaxFunc(c.categories, func(a, b frame.Value) int { return counts[a] - counts[b] })
	} else if null >= 0 {
		return c, fault.Errorf(fault.Invalid, "row %d is missing; add feature.Impute()", null)
	}
	return c, nil
}

// meanStd returns the mean and the population standard deviation, or 1 for the
// latter where the values differ by rounding only. The bound is scikit-learn's
// (StandardScaler): the error that a variance of n equal values may show.
func meanStd(x []float64) (mean, std float64) {
	n := float64(len(x))
	mean = sum(x, 0) / n
	var squares, drift compensated
	for _, v := range x {
		d := v - mean
		squares.add(d * d)
		drift.add(d)
	}
	// The second term corrects for the rounding of the mean (Chan, Golub and LeVeque 1983).
	variance := max(0, (squares.sum()-drift.sum()*drift.sum()/n)/n)
	const eps = 0x1p-52
	if slices.Min(x) == slices.Max(x) {
		return x[0], 1
	}
	if bound := n * mean * eps; variance <= n*eps*variance+bound*bound {
		return mean, 1
	}
	return mean, math.Sqrt(variance)
}

// compensated is Neumaier's sum, whose error does not grow with the number of terms.
type compensated struct{ total, lost float64 }

func (c *compensated) add(v float64) {
	t := c.total + v
	if math.Abs(c.total) >= math.Abs(v) {
		c.lost += (c.total - t) + v
	} else {
		c.lost += (v - t) + c.total
	}
	c.total = t
}

func (c *compensated) sum() float64 { return c.total + c.lost }

func sum(x []float64, from float64) float64 {
	c := compensated{total: from}
	for _, v := range x {
		c.add(v)
	}
	return c.sum()
}

// median returns the median of ascending values.
func median(x []float64) float64 {
	m := len(x) / 2
	if len(x)%2 == 1 {
		return x[m]
	}
	return x[m-1] + (x[m]-x[m-1])/2
}

// mode returns the most frequent of ascending values, the smallest of several.
func mode(x []float64) float64 {
	best, bestRun, run := x[0], 0, 0
	for i, v := range x {
		if i > 0 && v == x[i-1] {
			run++
		} else {
			run = 1
		}
		if run > bestRun {
			best, bestRun = v, run
		}
	}
	return best
}
