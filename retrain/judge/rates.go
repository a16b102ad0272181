package judge

import (
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// WatchOptions say what a comparison of two arms tolerates. Nil and the zero
// value are the documented defaults.
type WatchOptions struct {
	// Margin is by how much the canary's mean may be above the primary's. 0: 0.01 of
	// Rates, 0.05 of Latency and of Losses (of its bound).
	Margin float64
	// Alpha is the largest probability of a false Fail over the whole run, however
	// often one looks, and likewise of a false Pass. 0: 0.05.
	Alpha float64
	// Block is how many calls of either arm are compared as one. 1 does for what
	// fails on its own; labels that come in runs ask for the length of the runs.
	// 0: 1 of Rates and Latency, 10 of Losses.
	Block int
}

func newArms(what string, o *WatchOptions, margin float64, block int) (arms, error) {
	var out WatchOptions
	if o != nil {
		out = *o
	}
	if out.Margin == 0 {
		out.Margin = margin
	}
	if out.Alpha == 0 {
		out.Alpha = 0.05
	}
	if out.Block == 0 {
		out.Block = block
	}
	a := arms{Margin: out.Margin, Alpha: out.Alpha, Block: out.Block, Shown: Inconclusive, Harm: newWealth(), Safe: newWealth()}
	if err := a.check(); err != nil {
		return a, fault.Errorf(fault.Invalid, "judge: %s: %w: want a margin within [0, 1), alpha within (0, 0.5), a block of 1 at least", what, err)
	}
	return a, nil
}

// Rates compares how often calls fail on a canary and on the primary, from the
// first call on and after every call, at a level that holds however often one
// looks: harm is shown once a bet against "at most Margin more of the canary's
// calls fail" has won 1/Alpha times its stake; that there is none once the
// opposite bet has. Canary calls are compared with the primary's calls of the
// same time, so that a rate that drifts or comes in bursts on both arms alike
// raises no alarm; a burst that only the canary has is harm. The calls' shares of
// the arms are free and may change.
//
// The state is small, and goes through JSON unchanged. A Rates is not safe for
// concurrent use.
type Rates struct{ arms arms }

// NewRates returns a comparison without calls. Errors: Invalid for options out
// of range.
func NewRates(o *WatchOptions) (*Rates, error) {
	a, err := newArms("rates", o, 0.01, 1)
	if err != nil {
		return nil, err
	}
	return &Rates{a}, nil
}

// Add takes a call.
func (r *Rates) Add(arm Arm, failed bool) {
	x := 0.0
	if failed {
		x = 1
	}
	r.arms.add(arm, x)
}

// Judge says what is shown so far.
func (r *Rates) Judge() Watch { return r.arms.watch("failure rate", 1) }

// MarshalJSON writes the state.
func (r *Rates) MarshalJSON() ([]byte, error) { return marshalArms("rates", 1, r.arms) }

// UnmarshalJSON reads what MarshalJSON wrote. Errors: Corrupt, Unsupported for a
// later release's.
func (r *Rates) UnmarshalJSON(b []byte) (err error) {
	_, r.arms, err = unmarshalArms("rates", b)
	return err
}

// Latency compares how often calls take longer than a threshold, as Rates does
// how often they fail. Threshold finds one from the primary's own calls. A
// Latency is not safe for concurrent use.
type Latency struct {
	arms      arms
	threshold float64
}

// NewLatency returns a comparison without calls, with the threshold in whatever
// unit calls are given in. Errors: Invalid for a threshold that is not positive
// and finite, and for options out of range.
func NewLatency(threshold float64, o *WatchOptions) (*Latency, error) {
	if !(threshold > 0) || math.IsInf(threshold, 0) {
		return nil, fault.Errorf(fault.Invalid, "judge: latency: threshold %v is not positive and finite", threshold)
	}
	a, err := newArms("latency", o, 0.05, 1)
	if err != nil {
		return nil, err
	}
	return &Latency{a, threshold}, nil
}

// Add takes a call and how long it took. NaN counts as longer than any threshold.
func (l *Latency) Add(arm Arm, took float64) {
	x := 1.0
	if took <= l.threshold {
		x = 0
	}
	l.arms.add(arm, x)
}

// Judge says what is shown so far.
func (l *Latency) Judge() Watch { return l.arms.watch("rate of slow calls", 1) }

// MarshalJSON writes the state.
func (l *Latency) MarshalJSON() ([]byte, error) {
	return marshalArms("latency", l.threshold, l.arms)
}

// UnmarshalJSON reads what MarshalJSON wrote. Errors: Corrupt, Unsupported for a
// later release's.
func (l *Latency) UnmarshalJSON(b []byte) (err error) {
	l.threshold, l.arms, err = unmarshalArms("latency", b)
	return err
}
