package feature

import (
	"math"

	"github.com/mlloop/mlloop/train/frame"
)

// column is what one input becomes. It is immutable once fitted.
type column struct {
	field      frame.Field
	steps      []numericStep // in order; none where categorical
	categories []frame.Value // ascending; nil unless one-hot encoded
	fill       frame.Value   // of a categorical column; null: none

	index map[frame.Value]int // of categories
	at    int                 // of its first number in the model's row
}

// numericStep is a fitted step of a numeric column.
type numericStep struct {
	op   Op
	fill float64 // impute
	mean float64 // standardize
	std  float64 // standardize; 1 where constant
}

// apply returns the number after the step; NaN stands for missing.
func (s numericStep) apply(x float64) float64 {
	if s.op == OpImpute {
		if math.IsNaN(x) {
			return s.fill
		}
		return x
	}
	return (x - s.mean) / s.std
}

// problem is why a value cannot be transformed; the text is made off the fast path.
type problem uint8

const (
	fine problem = iota
	wrongKind
	missing
	infinite
	tooLarge
)

// transform writes what v becomes to dst, the model's whole row.
func (c *column) transform(dst []float32, v frame.Value) problem {
	if k := v.Kind(); k != c.field.Kind && k != frame.Null && !(k == frame.Int64 && c.field.Kind == frame.Float64) {
		return wrongKind
	}
	if c.categories != nil {
		return c.encode(dst[c.at:c.at+len(c.categories)], v)
	}
	x := v.Float()
	if math.IsInf(x, 0) {
		return infinite
	}
	for _, s := range c.steps {
		x = s.apply(x)
	}
	if math.IsNaN(x) {
		return missing
	}
	f := float32(x)
	if math.IsInf(float64(f), 0) {
		return tooLarge
	}
	dst[c.at] = f
	return fine
}

func (c *column) encode(dst []float32, v frame.Value) problem {
	if v.IsNull() {
		v = c.fill
		if v.IsNull() {
			return missing
		}
	}
	clear(dst)
	if i, ok := c.index[v]; ok {
		dst[i] = 1
	}
	return fine
}
