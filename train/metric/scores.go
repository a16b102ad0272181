package metric

import (
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrInvalid     = fault.Invalid
	ErrUnsupported = fault.Unsupported
	ErrCorrupt     = fault.Corrupt
)

// Scores are a classifier's answers to n rows whose labels are known.
type Scores struct {
	Labels        []int     // n class indices, 0 ≤ label < Classes
	Probabilities []float64 // n×Classes, row-major: each row's distribution over the classes
	Classes       int       // at least 2
}

// sumTolerance bounds how far a row's probabilities may sum from 1; float32
// models stay well within it.
const sumTolerance = 1e-4

// Check reports an Invalid error, listing every problem (of the rows, the first
// of each sort), unless there is at least one row, each label is a class, and
// each row of probabilities is finite, not negative and sums to 1 within 1e-4.
func (s Scores) Check() error {
	var problems fault.Problems
	if s.Classes < 2 {
		problems.Addf("%d classes, want at least 2", s.Classes)
	}
	if len(s.Labels) == 0 {
		problems.Addf("no rows")
	}
	if s.Classes >= 2 && len(s.Probabilities)%s.Classes+abs(len(s.Probabilities)/s.Classes-len(s.Labels)) != 0 {
		problems.Addf("%d probabilities for %d rows of %d classes", len(s.Probabilities), len(s.Labels), s.Classes)
	}
	if err := problems.Err(); err != nil {
		return err
	}
	for i, y := range s.Labels {
		if y < 0 || y >= s.Classes {
			problems.Addf("row %d: label %d is none of %d classes", i, y, s.Classes)
			break
		}
	}
	for i := range s.Labels {
		if text := checkDistribution(s.row(i)); text != "" {
			problems.Addf("row %d: %s", i, text)
			break
		}
	}
	return problems.Err()
}

func checkDistribution(p []float64) string {
	var sum float64
	for _, v := range p {
		if !(v >= 0) || math.IsInf(v, 0) {
			return "a probability is negative, infinite or NaN"
		}
		sum += v
	}
	if math.Abs(sum-1) > sumTolerance {
		return "the probabilities do not sum to 1"
	}
	return ""
}

// row returns the probabilities of row i.
func (s Scores) row(i int) []float64 { return s.Probabilities[i*s.Classes : (i+1)*s.Classes] }

// predicted returns the most probable class of row i, the first of equals.
func (s Scores) predicted(i int) int {
	p := s.row(i)
	best := 0
	for c, v := range p {
		if v > p[best] {
			best = c
		}
	}
	return best
}

func abs(i int) int {
	if i < 0 {
		return -i
	}
	return i
}
