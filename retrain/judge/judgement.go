package judge

import (
	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrInvalid     = fault.Invalid
	ErrUnsupported = fault.Unsupported
	ErrCorrupt     = fault.Corrupt
)

// Outcome is one of three: what was to be shown is shown, its opposite is, or
// neither.
type Outcome string

// The outcomes.
const (
	Pass         Outcome = "pass"
	Fail         Outcome = "fail"
	Inconclusive Outcome = "inconclusive"
)

// Judgement is an outcome with the numbers it rests on. All numbers are finite.
type Judgement struct {
	Outcome Outcome `json:"outcome"`
	Metric  string  `json:"metric"`
	// Diff is the challenger's metric minus the champion's, in the metric's own
	// sign: of a loss, less is better. Low and High bound it at Level.
	Diff  float64 `json:"diff"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level"` // of the two-sided interval: 1 - 2·Alpha
	// Margin is that of the question, in the metric's unit.
	Margin float64 `json:"margin"`
	N      int     `json:"n"`     // rows; of two arms, the smaller one's
	Block  int     `json:"block"` // rows taken as one, from the autocorrelation
	// MDE is the smallest difference that this many rows show with the wanted
	// power. 0: unknown.
	MDE float64 `json:"mde"`
	// Needed is the number of rows with which the question would be answered with
	// the wanted power. 0: unknown.
	Needed int    `json:"needed"`
	Reason string `json:"reason"` // one sentence with the numbers
}

// Options say how sure a judgement is to be. Nil and the zero value are the
// documented defaults.
type Options struct {
	// Alpha is the largest accepted probability of a false verdict, on its one
	// side. 0: 0.05.
	Alpha float64
	// Power is that at which MDE and Needed are stated. 0: 0.8.
	Power float64
}

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Alpha == 0 {
		out.Alpha = 0.05
	}
	if out.Power == 0 {
		out.Power = 0.8
	}
	var problems fault.Problems
	if !(out.Alpha > 0 && out.Alpha < 0.5) {
		problems.Addf("alpha %v is not between 0 and 0.5", out.Alpha)
	}
	if !(out.Power >= 0.5 && out.Power < 1) {
		problems.Addf("power %v is not within [0.5, 1)", out.Power)
	}
	return out, problems.Err()
}
