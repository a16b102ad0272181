package retrain

import (
	"math"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/metric"
)

// Consequence says what an inconclusive verdict leads to.
type Consequence string

// The consequences.
const (
	KeepChampion Consequence = "keep champion" // the default: what is not shown is not promoted
	GoOn         Consequence = "go on"         // as after a pass: for those to whom freshness matters more
)

// Rollout says how a challenger that passed the gates reaches production.
type Rollout struct {
	// Shadow is the least time that the challenger is asked beside the champion,
	// unseen by callers. It stays there until the labels of enough rows that both
	// answered have come, and is then judged on them by non-inferiority. 0: no
	// shadow.
	Shadow time.Duration
	// ShadowRate bounds the rows a second that the shadow is asked about, a sample
	// by routing key. 0: 20. Negative: all.
	ShadowRate float64
	// Metric judges shadow and canary. "": log_loss.
	Metric string
	// Margin is how much worse than the champion the shadow may be shown to be, as
	// a part of the champion's own value of Metric. 0: 0.05.
	Margin float64
	// MinLabels is how many labelled rows the shadow and the canary need to be
	// judged. 0: as many as show a difference of the margin with a power of 0.8, at
	// least 100.
	MinLabels int
	// Weights are the shares of the routing keys that the canary answers, one
	// after the other, rising, each in (0, 1). None: promotion follows the shadow.
	Weights []float64
	// Bake is the least time that each weight lasts. The last one lasts until the
	// labels of that time have come, too, and one to which no call has come until
	// there is one, no longer than Patience has it.
	Bake time.Duration
	// RollbackMargin is how much worse than the champion, as a part of its value of
	// Metric, the canary must be shown to be for a roll-back by labels. 0: 0.25.
	RollbackMargin float64
	// FailureMargin is by how much the canary's rate of failed calls, or of slow
	// ones, must be shown to lie above the primary's for a roll-back, at most 0.99. A
	// shadow that fails on more of its rows does not pass. 0: 0.01.
	FailureMargin float64
	// Patience is how many times the planned time, Shadow or Bake with the label
	// delay, a stage waits for labels before it ends as inconclusive. 0: 4.
	Patience float64
	// Inconclusive says what that leads to. "": KeepChampion.
	Inconclusive Consequence
}

const (
	defaultShadowRate     = 20
	defaultMargin         = 0.05
	defaultRollbackMargin = 0.25
	defaultFailureMargin  = 0.01
	defaultPatience       = 4
	leastLabels           = 100
	leastWeight           = 0.0001 // the step in which a route divides the keys
)

// ShadowThenCanary returns the rollout of one day in shadow, then one day at
// each weight; a last weight of 1 stands for the promotion itself.
func ShadowThenCanary(weights ...float64) Rollout {
	if n := len(weights); n > 0 && weights[n-1] == 1 {
		weights = weights[:n-1]
	}
	return Rollout{Shadow: 24 * time.Hour, Weights: weights, Bake: 24 * time.Hour}
}

func (r Rollout) withDefaults() Rollout {
	if r.Metric == "" {
		r.Metric = metric.NameLogLoss
	}
	switch {
	case r.ShadowRate == 0:
		r.ShadowRate = defaultShadowRate
	case r.ShadowRate < 0:
		r.ShadowRate = 0 // as serve has it
	}
	for _, d := range []struct {
		field  *float64
		ifZero float64
	}{
		{&r.Margin, defaultMargin}, {&r.RollbackMargin, defaultRollbackMargin},
		{&r.FailureMargin, defaultFailureMargin}, {&r.Patience, defaultPatience},
	} {
		if *d.field == 0 {
			*d.field = d.ifZero
		}
	}
	if r.Inconclusive == "" {
		r.Inconclusive = KeepChampion
	}
	return r
}

// weight returns the canary's share in the given stage; a rollout that was
// begun under a configuration with more stages goes on with the last one.
func (r Rollout) weight(i int) float64 {
	if len(r.Weights) == 0 {
		return 1
	}
	return r.Weights[min(i, len(r.Weights)-1)]
}

// last reports whether no weight follows the given one.
func (r Rollout) last(i int) bool { return i+1 >= len(r.Weights) }

// lossMetric is the metric whose row-by-row losses the canary is watched by:
// an AUC has none.
func (r Rollout) lossMetric() string {
	if r.Metric == metric.NameAUC {
		return metric.NameLogLoss
	}
	return r.Metric
}

func (r Rollout) validate(p *fault.Problems) {
	if r.Shadow < 0 || r.Bake < 0 || r.MinLabels < 0 {
		p.Addf("Rollout: Shadow, Bake and MinLabels must not be negative")
	}
	if r.MinLabels > maxPairs/2 {
		p.Addf("Rollout: MinLabels is %d: a shadow is compared on %d rows at most", r.MinLabels, maxPairs/2)
	}
	for _, v := range []struct {
		name      string
		value     float64
		low, high float64
	}{
		{"Margin", r.Margin, 0, 10}, {"RollbackMargin", r.RollbackMargin, 0, 10},
		{"FailureMargin", r.FailureMargin, 0, 0.99}, {"Patience", r.Patience, 1, 1000},
	} {
		if !(v.value >= v.low && v.value <= v.high) {
			p.Addf("Rollout: %s is %g: want %g to %g", v.name, v.value, v.low, v.high)
		}
	}
	if math.IsNaN(r.ShadowRate) || math.IsInf(r.ShadowRate, 0) {
		p.Addf("Rollout: ShadowRate is %g", r.ShadowRate)
	}
	if r.Inconclusive != KeepChampion && r.Inconclusive != GoOn {
		p.Addf("Rollout: Inconclusive is %q: want %q or %q", r.Inconclusive, KeepChampion, GoOn)
	}
	if _, err := metric.ByName(r.Metric); err != nil {
		p.Addf("Rollout: Metric: %v", err)
	}
	for i, s := range r.Weights {
		if !(s >= leastWeight && s <= 1-leastWeight) || (i > 0 && s <= r.Weights[i-1]) {
			p.Addf("Rollout: Weights %v: want rising shares between 0 and 1, by at least %g from either", r.Weights, leastWeight)
			break
		}
	}
}
