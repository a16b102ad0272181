package profile

import (
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/mlloop/mlloop/train/frame"
)

// Column sums up one column. Exactly one of Edges, Values and Categories says
// how its bins were cut. Treat it as read-only.
type Column struct {
	Name     string     `json:"name"`
	Kind     frame.Kind `json:"kind"`
	Present  int64      `json:"present"`  // rows with a finite number or a text
	Missing  int64      `json:"missing"`  // rows without one
	Infinite int64      `json:"infinite"` // rows with ±Inf
	// Of the finite numbers; 0 without any and for text. Std is the
	// population's, dividing by the count.
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	// Edges are the inner edges of the quantile bins, ascending; bin i holds
	// Edges[i-1] < x ≤ Edges[i].
	Edges []float64 `json:"edges,omitempty"`
	// Groups is the PSI bin of each of the quantile bins.
	Groups []int `json:"groups,omitempty"`
	// Values are the distinct numbers of a column counted by value, ascending.
	Values []float64 `json:"values,omitempty"`
	// Categories are the texts with a bin of their own, most frequent first.
	Categories []string `json:"categories,omitempty"`
	// Counts are the rows in each bin: the quantile bins, or the values or
	// categories and then all others; then missing; then infinite.
	Counts []int64 `json:"counts"`
	// Calibrations say how far windows of the reference lie from the rest.
	Calibrations []Calibration `json:"calibrations"`

	lookup map[string]uint16 // of Categories
}

// tailBins is the number of bins for rows without a value: missing, infinite.
const tailBins = 2

func (c *Column) missingBin() int  { return len(c.Counts) - 2 }
func (c *Column) infiniteBin() int { return len(c.Counts) - 1 }

// present returns the part of counts, over this column's bins, that is for
// rows with a value.
func (c *Column) present(counts []int64) []int64 { return counts[:len(c.Counts)-tailBins] }

// newColumn cuts the named column into bins and returns the bin of each row.
func newColumn(t *frame.Table, name string, opts Options) (*Column, []uint16, error) {
	c := &Column{Name: name, Kind: t.Schema()[t.Schema().Index(name)].Kind}
	if c.Kind == frame.String {
		values, err := t.Values(name)
		if err != nil {
			return nil, nil, err
		}
		c.cutText(values, opts.Categories)
		c.prepare()
		bins := make([]uint16, len(values))
		for i, v := range values {
			bins[i] = c.bin(v)
		}
		c.count(bins)
		return c, bins, nil
	}
	values, err := t.Floats(name)
	if err != nil {
		return nil, nil, err
	}
	c.cutNumbers(values, opts.Bins)
	bins := make([]uint16, len(values))
	for i, x := range values {
		bins[i] = c.binOf(x)
	}
	c.count(bins)
	return c, bins, nil
}

func (c *Column) count(bins []uint16) {
	for _, b := range bins {
		c.Counts[b]++
	}
	c.Missing, c.Infinite = c.Counts[c.missingBin()], c.Counts[c.infiniteBin()]
	c.Present = int64(len(bins)) - c.Missing - c.Infinite
}

// cutText gives the most frequent texts a bin each; ties go by the alphabet.
func (c *Column) cutText(values []frame.Value, most int) {
	rows := map[string]int{}
	for _, v := range values {
		if !v.IsNull() {
			rows[v.Text()]++
		}
	}
	texts := make([]string, 0, len(rows))
	for text := range rows {
		texts = append(texts, text)
	}
	sort.Slice(texts, func(i, j int) bool {
		a, b := texts[i], texts[j]
		return rows[a] > rows[b] || rows[a] == rows[b] && a < b
	})
	for _, text := range texts[:min(most, len(texts))] {
		c.Categories = append(c.Categories, strings.Clone(text)) // not the table's memory
	}
	c.Counts = make([]int64, len(c.Categories)+1+tailBins)
}

func (c *Column) cutNumbers(values []float64, bins int) {
	sorted := make([]float64, 0, len(values))
	for _, x := range values {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			sorted = append(sorted, x)
		}
	}
	slices.Sort(sorted)
	c.moments(sorted)
	if few := distinct(sorted, bins); len(few) <= bins {
		c.Values = few
		c.Counts = make([]int64, len(few)+1+tailBins)
		return
	}
	c.Edges, c.Groups = cutAtQuantiles(sorted, bins)
	c.Counts = make([]int64, len(c.Edges)+1+tailBins)
}

func (c *Column) moments(sorted []float64) {
	if len(sorted) == 0 {
		return
	}
	// Halved values cannot overflow in a difference.
	mean, m2 := 0.0, 0.0
	for i, x := range sorted {
		step := x/2 - mean/2
		old := mean
		mean += step / float64(i+1) * 2
		m2 += (x/2 - old/2) * (x/2 - mean/2)
	}
	std := 2 * math.Sqrt(m2/float64(len(sorted)))
	c.Mean, c.Min, c.Max = mean, sorted[0], sorted[len(sorted)-1]
	c.Std = min(std, math.MaxFloat64)
}

// distinct returns the distinct values of sorted, but no more than limit+1.
func distinct(sorted []float64, limit int) []float64 {
	var out []float64
	for i, x := range sorted {
		if i > 0 && x == sorted[i-1] {
			continue
		}
		if out = append(out, x); len(out) > limit {
			break
		}
	}
	return out
}

// cutAtQuantiles returns the distinct inner edges of bins·resolution quantile
// bins, and for each of these bins the one of bins coarse bins it lies in: the
// coarse edges are fine edges too.
func cutAtQuantiles(sorted []float64, bins int) (edges []float64, groups []int) {
	group := 0
	for i := 1; i < bins*resolution; i++ {
		e := quantile(sorted, float64(i)/float64(bins*resolution))
		isNew := len(edges) == 0 || e > edges[len(edges)-1]
		if isNew {
			edges = append(edges, e)
			groups = append(groups, group)
		}
		// A coarse edge closes its group, unless an equal one has done so.
		if i%resolution == 0 && groups[len(groups)-1] == group {
			group++
		}
	}
	return edges, append(groups, group)
}

// quantile interpolates between order statistics (type 7, as numpy does).
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	a, b, f := sorted[i], sorted[i+1], at-float64(i)
	if width := b - a; !math.IsInf(width, 0) {
		return min(a+width*f, b) // exactly a between equal values
	}
	return a*(1-f) + b*f
}

// prepare derives the look-up of categories.
func (c *Column) prepare() {
	if len(c.Categories) == 0 {
		return
	}
	c.lookup = make(map[string]uint16, len(c.Categories))
	for i, text := range c.Categories {
		c.lookup[text] = uint16(i)
	}
}

// bin returns the bin of a value.
func (c *Column) bin(v frame.Value) uint16 { return c.binOfNumber(c.number(v)) }

// number is what bin needs to know of a value: itself, or the place of a text
// among the categories, that of all others after them; NaN when it is missing.
func (c *Column) number(v frame.Value) float64 {
	if c.Kind != frame.String {
		return v.Float()
	}
	if v.IsNull() {
		return math.NaN()
	}
	if i, ok := c.lookup[v.Text()]; ok {
		return float64(i)
	}
	return float64(len(c.Categories))
}

// binOfNumber returns the bin of what number gave.
func (c *Column) binOfNumber(x float64) uint16 {
	if c.Kind != frame.String {
		return c.binOf(x)
	}
	if x >= 0 && x <= float64(len(c.Categories)) {
		return uint16(x)
	}
	return uint16(c.missingBin())
}

// binOf returns the bin of a number; NaN is missing.
func (c *Column) binOf(x float64) uint16 {
	switch {
	case math.IsNaN(x):
		return uint16(c.missingBin())
	case math.IsInf(x, 0):
		return uint16(c.infiniteBin())
	case c.Edges != nil:
		return uint16(below(c.Edges, x))
	}
	if i := below(c.Values, x); i < len(c.Values) && c.Values[i] == x {
		return uint16(i)
	}
	return uint16(len(c.Values))
}

// below returns how many of the ascending edges are less than x.
func below(edges []float64, x float64) int {
	low, high := 0, len(edges)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if edges[mid] < x {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
