package judge

import (
	"fmt"

	"github.com/mlloop/mlloop/train/metric"
)

// facts are bounds of a gain, larger being better, and the margin at hand.
type facts struct {
	gain, low, high float64
	mde             float64
	margin          float64
	settled         bool // the bounds hold: rows do not depend on each other for too long
}

// question turns facts into an outcome. It depends on nothing else.
type question interface {
	outcome(facts) Outcome
	// distance is between what is supposed to be true and what is to be told from
	// it: it says how many rows are needed. 0 or less: unknown.
	distance(facts) float64
	says(Outcome, metric.Metric, float64) string
	unknown(metric.Metric, float64) string
}

type nonInferior struct{}

func (nonInferior) outcome(f facts) Outcome {
	switch {
	case !f.settled:
	case f.low > -f.margin:
		return Pass
	case f.high < -f.margin:
		return Fail
	}
	return Inconclusive
}

// Two equal models, or with no margin what was seen.
func (nonInferior) distance(f facts) float64 {
	if f.margin > 0 {
		return f.margin
	}
	return f.gain
}

func (nonInferior) says(o Outcome, _ metric.Metric, margin float64) string {
	return map[Outcome]string{
		Pass:         fmt.Sprintf("worse by less than %.4g is shown", margin),
		Fail:         fmt.Sprintf("worse by more than %.4g is shown", margin),
		Inconclusive: fmt.Sprintf("neither shown to be worse by less than %.4g nor by more", margin),
	}[o]
}

func (nonInferior) unknown(m metric.Metric, margin float64) string {
	return fmt.Sprintf("whether %s is worse by less than %.4g cannot be said", m.Name, margin)
}

type noHarm struct{}

func (noHarm) outcome(f facts) Outcome {
	switch {
	case f.settled && f.high < -f.margin:
		return Fail
	case f.gain >= 0, f.settled && (f.gain >= -f.margin || f.mde <= f.margin):
		return Pass
	}
	return Inconclusive
}

// Harm of twice the margin, as far from the margin as the margin is from none.
func (noHarm) distance(f facts) float64 { return f.margin }

func (noHarm) says(o Outcome, _ metric.Metric, margin float64) string {
	return map[Outcome]string{
		Pass:         fmt.Sprintf("no harm beyond %.4g is shown", margin),
		Fail:         fmt.Sprintf("harm beyond %.4g is shown", margin),
		Inconclusive: fmt.Sprintf("harm beyond %.4g is seen, and neither shown nor ruled out", margin),
	}[o]
}

func (noHarm) unknown(m metric.Metric, margin float64) string {
	return fmt.Sprintf("whether %s is worse by more than %.4g cannot be said", m.Name, margin)
}

type superior struct{}

func (superior) outcome(f facts) Outcome {
	switch {
	case !f.settled:
	case f.low > f.margin:
		return Pass
	case f.high < f.margin:
		return Fail
	}
	return Inconclusive
}

// What was seen.
func (superior) distance(f facts) float64 { return f.gain - f.margin }

func (superior) says(o Outcome, _ metric.Metric, margin float64) string {
	return map[Outcome]string{
		Pass:         fmt.Sprintf("better by more than %.4g is shown", margin),
		Fail:         fmt.Sprintf("not better by %.4g is shown", margin),
		Inconclusive: fmt.Sprintf("neither shown to be better by more than %.4g nor not to be", margin),
	}[o]
}

func (superior) unknown(m metric.Metric, margin float64) string {
	return fmt.Sprintf("whether %s is better by more than %.4g cannot be said", m.Name, margin)
}
