package judge

import (
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// Losses compares the mean loss of a canary's rows with that of the primary's,
// as labels come, at a level that holds however often one looks: Rates with a
// number instead of a failure. Losses are cut to [0, bound]: 1 for errors and for
// the Brier score of two classes, and for log-loss what one row may weigh. A Losses is not safe for
// concurrent use.
type Losses struct {
	arms  arms
	bound float64
}

// NewLosses returns a comparison without rows. WatchOptions.Margin is in the
// losses' unit; 0 is 0.05 of the bound. Errors: Invalid for a bound that is not positive and
// finite, and for options out of range: the margin must be below the bound.
func NewLosses(bound float64, o *WatchOptions) (*Losses, error) {
	if !(bound > 0) || math.IsInf(bound, 0) {
		return nil, fault.Errorf(fault.Invalid, "judge: losses: bound %v is not positive and finite", bound)
	}
	scaled := WatchOptions{}
	if o != nil {
		scaled = *o
	}
	scaled.Margin /= bound
	a, err := newArms("losses", &scaled, 0.05, 10)
	if err != nil {
		return nil, err
	}
	return &Losses{a, bound}, nil
}

// Add takes a row's loss; NaN counts as the bound.
func (l *Losses) Add(arm Arm, loss float64) {
	x := 1.0
	if !math.IsNaN(loss) {
		x = min(max(loss/l.bound, 0), 1)
	}
	l.arms.add(arm, x)
}

// Judge says what is shown so far.
func (l *Losses) Judge() Watch { return l.arms.watch("mean loss", l.bound) }

// MarshalJSON writes the state.
func (l *Losses) MarshalJSON() ([]byte, error) { return marshalArms("losses", l.bound, l.arms) }

// UnmarshalJSON reads what MarshalJSON wrote. Errors: Corrupt, Unsupported for a
// later release's.
func (l *Losses) UnmarshalJSON(b []byte) (err error) {
	l.bound, l.arms, err = unmarshalArms("losses", b)
	return err
}
