package driftconcept

import (
	"encoding"
	"math"
)

// Status is what a detector says of the stream after an item.
type Status int

// The statuses. Warning comes only from detectors that have a second, lower
// threshold.
const (
	Stable Status = iota
	Warning
	Drift
)

// Detector watches a stream for a change. Implementations are not safe for
// concurrent use.
type Detector interface {
	// Update takes the next item, such as 1 for an error and 0 for none. After
	// a Drift the detector has already started over as its type describes.
	// NaN and ±Inf are passed over and answered with Stable.
	Update(x float64) Status
	// Reset forgets the stream and keeps the parameters.
	Reset()
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// or returns v, or what it stands for when it is zero.
func or[T int | float64](v, ifZero T) T {
	if v == 0 {
		return ifZero
	}
	return v
}
