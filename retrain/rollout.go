package retrain

import (
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/metric"
)

// Rollout says how a challenger that passed the gates reaches production.
type Rollout struct {
	// Shadow is how long the challenger is asked beside the champion. It is then
	// judged, once the labels of that time have come, on the rows both answered.
	Shadow time.Duration
	// Metric and Margin judge the shadow as NotWorse does. "": accuracy.
	Metric string
	Margin float64
	// MinLabels is how many labelled rows that both answered the shadow needs:
	// with fewer it is not judged, and not judged is not passed. 0: 20.
	MinLabels int
	// Shares are the parts of the keys that the canary answers, one stage each,
	// rising, each in (0, 1). None: promotion follows the shadow at once.
	Shares []float64
	// Bake is how long each share lasts.
	Bake time.Duration
	// Harm is how much worse than the champion's the canary's metric must be shown
	// to be, by the whole of its interval, for a roll-back. A canary without a
	// single answer is rolled back too; one without labels is not. 0: 0.05.
	Harm float64
}

const (
	defaultMinLabels = 20
	defaultHarm      = 0.05
)

// ShadowThenCanary returns the rollout of one day in shadow, then one day at
// each share of the keys; a last share of 1 stands for the promotion itself.
func ShadowThenCanary(shares ...float64) Rollout {
	if n := len(shares); n > 0 && shares[n-1] == 1 {
		shares = shares[:n-1]
	}
	return Rollout{Shadow: 24 * time.Hour, Shares: shares, Bake: 24 * time.Hour}
}

func (r Rollout) withDefaults() Rollout {
	if r.Metric == "" {
		r.Metric = "accuracy"
	}
	if r.MinLabels == 0 {
		r.MinLabels = defaultMinLabels
	}
	if r.Harm == 0 {
		r.Harm = defaultHarm
	}
	return r
}

// share returns the canary's share in the given stage; a rollout that was
// begun under a configuration with more stages goes on with the last one.
func (r Rollout) share(step int) float64 {
	if len(r.Shares) == 0 {
		return 1
	}
	return r.Shares[min(step, len(r.Shares)-1)]
}

func (r Rollout) check(p *fault.Problems) {
	if r.Shadow < 0 || r.Bake < 0 || r.MinLabels < 0 {
		p.Addf("Rollout: Shadow, Bake and MinLabels must not be negative")
	}
	if !(r.Margin >= 0 && r.Harm >= 0) {
		p.Addf("Rollout: Margin and Harm must not be negative")
	}
	if _, err := metric.ByName(r.Metric); err != nil {
		p.Addf("Rollout: Metric: %v", err)
	}
	for i, s := range r.Shares {
		if !(s > 0 && s < 1) || (i > 0 && s <= r.Shares[i-1]) {
			p.Addf("Rollout: Shares %v: want rising shares between 0 and 1", r.Shares)
			break
		}
	}
}
