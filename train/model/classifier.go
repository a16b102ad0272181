package model

import (
	"math"
	"slices"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Classifier is a feed-forward network whose last layer scores the classes. It
// is safe for concurrent use as long as nobody writes its fields; do not copy it.
type Classifier struct {
	Layers  []Dense       // each takes what the one before gives; the last one has one output a class
	Classes []frame.Value // distinct, all Int64, all String or all Bool, in the order of the outputs

	scratch sync.Pool // *scratch
}

// scratch holds the activations of one block of rows, turn and turn about.
type scratch struct{ a, b []float32 }

// Inputs returns the number of columns that the classifier reads.
func (c *Classifier) Inputs() int {
	if len(c.Layers) == 0 {
		return 0
	}
	return c.Layers[0].In
}

// Clone returns a deep copy of the layers; the classes are shared.
func (c *Classifier) Clone() *Classifier {
	layers := slices.Clone(c.Layers)
	for i := range layers {
		layers[i].W, layers[i].B = slices.Clone(layers[i].W), slices.Clone(layers[i].B)
	}
	return &Classifier{Layers: layers, Classes: c.Classes}
}

// Probabilities writes the probability of each class for each row of x into
// dst, grown when it is too short, and returns it: n×k, row-major, rows summing
// to 1. The softmax is taken in float64 after subtracting the row's greatest
// score, so it neither overflows nor divides by zero. With a dst that is long
// enough nothing is allocated once the classifier is warm.
//
// Errors: Invalid when x does not fit the first layer, when the layers do not
// fit one another, and when a row's scores are NaN or infinite (its features
// were, or are far out of the range that was fitted).
func (c *Classifier) Probabilities(dst []float64, x frame.Matrix) ([]float64, error) {
	dst, err := c.probabilities(dst, x)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "model: probabilities: %w", err)
	}
	return dst, nil
}

func (c *Classifier) probabilities(dst []float64, x frame.Matrix) ([]float64, error) {
	if err := c.fits(x); err != nil {
		return nil, err
	}
	k := len(c.Classes)
	dst = slices.Grow(dst[:0], x.Rows*k)[:x.Rows*k]
	s := c.borrow(min(x.Rows, blockRows))
	defer c.scratch.Put(s)
	for from := 0; from < x.Rows; from += blockRows {
		to := min(from+blockRows, x.Rows)
		scores, err := c.forward(s, x.Data[from*x.Cols:to*x.Cols], to-from)
		if err != nil {
			return nil, err
		}
		for i := range to - from {
			if !softmax(dst[(from+i)*k:(from+i+1)*k], scores[i*k:(i+1)*k]) {
				return nil, fault.Errorf(fault.Invalid, "row %d: the scores %v are not finite; check the row's features",
					from+i, slices.Clone(scores[i*k:(i+1)*k]))
			}
		}
	}
	return dst, nil
}

// forward runs the layers over rows ≤ blockRows rows and returns the last
// one's outputs, which live in s.
func (c *Classifier) forward(s *scratch, x []float32, rows int) ([]float32, error) {
	for i := range c.Layers {
		layer := &c.Layers[i]
		out := s.a[:rows*layer.Out]
		if err := layer.forward(out, x, rows); err != nil {
			return nil, err
		}
		x = out
		s.a, s.b = s.b, s.a
	}
	return x, nil
}

// borrow returns a scratch for that many rows.
func (c *Classifier) borrow(rows int) *scratch {
	width := 0
	for i := range c.Layers {
		width = max(width, c.Layers[i].Out)
	}
	s, ok := c.scratch.Get().(*scratch)
	if !ok || len(s.a) < rows*width || len(s.b) < rows*width {
		s = &scratch{a: make([]float32, rows*width), b: make([]float32, rows*width)}
	}
	return s
}

// fits is the part of Check that one prediction can afford.
func (c *Classifier) fits(x frame.Matrix) error {
	if len(c.Layers) == 0 {
		return fault.Errorf(fault.Invalid, "the classifier has no layers")
	}
	if x.Rows < 0 || x.Cols != c.Layers[0].In || len(x.Data) != x.Rows*x.Cols {
		return fault.Errorf(fault.Invalid, "features are %d×%d with %d values, the classifier takes %d columns",
			x.Rows, x.Cols, len(x.Data), c.Layers[0].In)
	}
	for i := 1; i < len(c.Layers); i++ {
		if c.Layers[i].In != c.Layers[i-1].Out {
			return fault.Errorf(fault.Invalid, "layer %d takes %d values, the one before gives %d",
				i, c.Layers[i].In, c.Layers[i-1].Out)
		}
	}
	if out := c.Layers[len(c.Layers)-1].Out; out != len(c.Classes) {
		return fault.Errorf(fault.Invalid, "the last layer gives %d scores for %d classes", out, len(c.Classes))
	}
	return nil
}

// softmax writes exp(s_j)/Σexp(s) and reports whether the scores were finite.
func softmax(p []float64, scores []float32) bool {
	top, finite := scores[0], true
	for _, s := range scores {
		top = max(top, s)
		finite = finite && s-s == 0
	}
	var sum float64
	for j, s := range scores {
		p[j] = math.Exp(float64(s) - float64(top))
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
	return finite
}
