package retrain_test

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
)

// chaosSettings are what a history is drawn with, besides its faults.
type chaosSettings struct {
	days     int
	perHour  float64 // rows
	profiles bool    // bundles have reference profiles
	fitFirst bool    // the first champion is fitted by FitFirst
	bySource bool    // labels come by Config.Labels, else by Server.Label
	wrong    float64 // labels that are wrong at first
	late     float64 // labels that come late
	alien    float64 // labels that no model can answer
	every    time.Duration
	config   retrain.Config   // without stores and parts of the history
	quiet    bool             // nothing befalls the process, its clock, its stores and its sources
	plan     func(h *history) // what is to happen besides
	sabotage sabotage
}

// sabotage is what a test breaks to see that the invariants tell.
type sabotage struct {
	config func(c *retrain.Config) // makes another configuration than the invariants believe
	stores func(s *retrain.Stores)
	kind   string // of every challenger
}

func oneOf[T any](rng *rand.Rand, choices ...T) T { return choices[rng.IntN(len(choices))] }

// drawSettings draws a sensible configuration, the defaults among them.
func drawSettings(rng *rand.Rand) chaosSettings {
	s := chaosSettings{
		days: 30, perHour: oneOf(rng, 4., 8, 16), profiles: rng.IntN(3) > 0, fitFirst: rng.IntN(3) == 0, bySource: rng.IntN(2) == 0,
		wrong: oneOf(rng, 0, 0.02, 0.06), late: oneOf(rng, 0.02, 0.2), alien: oneOf(rng, 0, 0.02),
		every: oneOf[time.Duration](rng, 2, 4, 7) * 24 * time.Hour,
	}
	c := &s.config
	c.LabelDelay = oneOf(rng, 2*time.Hour, 12*time.Hour, 24*time.Hour, 72*time.Hour)
	c.Interval = oneOf(rng, time.Hour, 3*time.Hour)
	c.Holdout = oneOf(rng, 0, 2*24*time.Hour, 4*24*time.Hour)
	c.Gates = oneOf(rng,
		[]retrain.Gate{retrain.NonInferior("log_loss", 0.02), retrain.SmokeTest()},
		[]retrain.Gate{retrain.NonInferior("accuracy", 0.05), retrain.SmokeTest()},
		[]retrain.Gate{retrain.NoHarm("accuracy", 0.02)},
		[]retrain.Gate{retrain.NoHarm("log_loss", 0.05), retrain.SmokeTest()},
		nil)
	c.Inconclusive = oneOf(rng, "", "", retrain.GoOn) // of the gates: the rollout follows
	c.Triggers = []retrain.Trigger{retrain.Every(s.every)}
	if rng.IntN(2) == 0 {
		c.Triggers = append(c.Triggers, retrain.OnDrift(), retrain.OnDecay("accuracy", 0.05))
	}
	c.Rollout = drawRollout(rng)
	c.Policy = oneOf(rng, retrain.Policy{}, retrain.Policy{}, retrain.Policy{Cooldown: -1}, retrain.Policy{Cooldown: 12 * time.Hour, MaxFailures: 2}, retrain.Policy{Per: 5 * 24 * time.Hour})
	if rng.IntN(20) == 0 {
		c.Retention.Age = 15 * 24 * time.Hour
	}
	return s
}

// drawRollout draws a rollout that has a shadow, a canary or both.
func drawRollout(rng *rand.Rand) retrain.Rollout {
	if rng.IntN(4) == 0 {
		return retrain.ShadowThenCanary(0.05, 0.25, 1)
	}
	r := retrain.Rollout{
		Shadow: oneOf(rng, 0, 12*time.Hour, 24*time.Hour, 48*time.Hour), Bake: oneOf(rng, 6*time.Hour, 24*time.Hour),
		Weights: oneOf(rng, nil, []float64{0.5}, []float64{0.1, 0.5}, []float64{0.05, 0.25, 0.5}),
		Metric:  oneOf(rng, "", "accuracy", "brier"), Margin: oneOf(rng, 0, 0.1, 0.2), MinLabels: oneOf(rng, 0, 0, 100, 300),
		Inconclusive: oneOf(rng, "", "", "", retrain.GoOn),
	}
	if r.Shadow == 0 && len(r.Weights) == 0 {
		r.Shadow = 24 * time.Hour
	}
	return r
}

// newConfig completes the settings' configuration for one life.
func (h *history) newConfig(stores *retrain.Stores) retrain.Config {
	c := h.settings.config
	c.Model, c.Stores, c.Data, c.Trainer = chaosName, stores, h, h
	c.Time, c.Label = "at", "y"
	c.Flavors = map[string]serve.Loader{chaosFlavor: h.load}
	c.Now, c.Logger = h.now, slog.New(slog.DiscardHandler)
	if h.settings.bySource {
		c.Labels = h
	}
	if h.settings.sabotage.config != nil {
		h.settings.sabotage.config(&c)
	}
	return c
}

// cooldown is the policy's least time between two beginnings.
func (s chaosSettings) cooldown() time.Duration {
	switch c := s.config.Policy.Cooldown; {
	case c < 0:
		return 0
	case c > 0:
		return c
	}
	return max(24*time.Hour, s.config.LabelDelay)
}

func (s chaosSettings) maxFailures() int {
	if n := s.config.Policy.MaxFailures; n > 0 {
		return n
	}
	return 5
}

// patience is how long a stage of the planned time may last.
func (s chaosSettings) patience(planned time.Duration) time.Duration {
	return 4 * (planned + s.config.LabelDelay)
}

func (s chaosSettings) minLabels() int {
	if n := s.config.Rollout.MinLabels; n > 0 {
		return n
	}
	return 100
}
