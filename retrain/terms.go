package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// terms are what a retraining is judged by: those of the configuration that it
// was begun under, also when a process with another one leads by now.
type terms struct {
	Gates        []Gate
	Holdout      time.Duration
	LabelDelay   time.Duration
	Rollout      Rollout
	Mode         Mode
	Inconclusive Consequence
}

func termsOf(c Config) terms {
	return terms{Gates: c.Gates, Holdout: c.Holdout, LabelDelay: c.LabelDelay, Rollout: c.Rollout, Mode: c.Mode, Inconclusive: c.Inconclusive}
}

// readTerms returns the terms of the configuration with the digest. What is code
// is this program's of the same type. Errors: the store's; a configuration that is
// lost or damaged leaves the present one.
func (l *Loop) readTerms(ctx context.Context, digest string) (terms, error) {
	own := termsOf(l.config)
	if digest == l.digest || digest == "" {
		return own, nil
	}
	raw, err := l.config.Stores.Retrain.Config(ctx, digest)
	var stored configuration
	if err == nil {
		if err = json.Unmarshal(raw, &stored); err != nil {
			err = fault.Errorf(fault.Corrupt, "configuration %s: %w", digest, err)
		} else if stored.Format > configurationFormat {
			err = fault.Errorf(fault.Unsupported, "configuration %s was written by a later release", digest)
		}
	}
	switch fault.Kind(err) {
	case fault.NotFound, fault.Corrupt, fault.Unsupported:
		l.config.Logger.WarnContext(ctx, "the retraining under way goes on under the present configuration", "model", l.config.Model, "error", err)
		return own, nil
	}
	if err != nil {
		return terms{}, err
	}
	t := terms{
		Holdout: time.Duration(stored.Holdout), LabelDelay: time.Duration(stored.LabelDelay),
		Rollout: stored.Rollout.rollout(), Mode: stored.Mode, Inconclusive: stored.Inconclusive,
	}
	for i, g := range stored.Gates {
		t.Gates = append(t.Gates, g.gate(i, l.config.Gates))
	}
	return t, nil
}

// loadTerms brings the terms to the retraining under way.
func (l *Loop) loadTerms(ctx context.Context) error {
	digest := l.digest
	if a := l.memory.Attempt; a != nil && a.Retraining.Config != "" {
		digest = a.Retraining.Config
	}
	if digest == l.termsFrom {
		return nil
	}
	t, err := l.readTerms(ctx, digest)
	if err != nil {
		return fmt.Errorf("the configuration of the retraining under way: %w", err)
	}
	l.terms, l.termsFrom = t, digest
	return nil
}

// rolloutRecord is a Rollout with its defaults filled in, as it is stored.
type rolloutRecord struct {
	Shadow         span        `json:"shadow"`
	Metric         string      `json:"metric"`
	Margin         float64     `json:"margin"`
	MinLabels      int         `json:"min_labels"`
	Weights        []float64   `json:"weights"`
	Bake           span        `json:"bake"`
	RollbackMargin float64     `json:"rollback_margin"`
	FailureMargin  float64     `json:"failure_margin"`
	Patience       float64     `json:"patience"`
	ShadowRate     float64     `json:"shadow_rate"` // 0: all
	Inconclusive   Consequence `json:"inconclusive"`
}

func rolloutRecordOf(r Rollout) rolloutRecord {
	return rolloutRecord{
		Shadow: span(r.Shadow), ShadowRate: r.ShadowRate, Metric: r.Metric, Margin: r.Margin, MinLabels: r.MinLabels, Weights: r.Weights,
		Bake: span(r.Bake), RollbackMargin: r.RollbackMargin, FailureMargin: r.FailureMargin, Patience: r.Patience, Inconclusive: r.Inconclusive,
	}
}

func (r rolloutRecord) rollout() Rollout {
	return Rollout{
		Shadow: time.Duration(r.Shadow), ShadowRate: r.ShadowRate, Metric: r.Metric, Margin: r.Margin, MinLabels: r.MinLabels, Weights: r.Weights,
		Bake: time.Duration(r.Bake), RollbackMargin: r.RollbackMargin, FailureMargin: r.FailureMargin, Patience: r.Patience, Inconclusive: r.Inconclusive,
	}
}

// gateRecord is a gate as it is stored. Those of this package can be made again
// from it; others are named by type and Go value.
type gateRecord struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	Kind   string  `json:"kind,omitempty"` // of this package's own; "": code
	Metric string  `json:"metric,omitempty"`
	Limit  float64 `json:"limit"` // margin or floor
	Value  any     `json:"value,omitempty"`
}

// The kinds of gates besides those of comparisons, which name themselves.
const (
	gateAtLeast   = "at least"
	gateSmokeTest = "smoke test"
)

func gateRecordOf(g Gate) gateRecord {
	r := gateRecord{Type: reflect.TypeOf(g).String()}
	switch g := g.(type) {
	case comparison:
		r.Kind, r.Metric, r.Limit = g.what, g.metric, g.margin
	case atLeast:
		r.Kind, r.Metric, r.Limit = gateAtLeast, g.metric, g.floor
	case smokeTest:
		r.Kind = gateSmokeTest
	default:
		r.Value = describe(g)
	}
	if err := safely(func() error { r.Name = g.Name(); return nil }); err != nil {
		r.Name = err.Error() // the gate's own failure, which its verdict tells too
	}
	return r
}

// gate makes the gate again. One that is code is the program's of that type, at
// the same place where there are several.
func (r gateRecord) gate(place int, present []Gate) Gate {
	for _, make := range []func(string, float64) Gate{NonInferior, NoHarm, Superior} {
		if g := make(r.Metric, r.Limit); g.(comparison).what == r.Kind {
			return g
		}
	}
	switch r.Kind {
	case gateAtLeast:
		return AtLeast(r.Metric, r.Limit)
	case gateSmokeTest:
		return SmokeTest()
	}
	var found Gate
	for i, g := range present {
		if reflect.TypeOf(g).String() == r.Type && (found == nil || i == place) {
			found = g
		}
	}
	if found == nil {
		return missingGate{r}
	}
	return found
}

// missingGate stands for a gate that the program no longer has.
type missingGate struct{ record gateRecord }

// Name implements Gate.
func (g missingGate) Name() string { return g.record.Name }

// Judge implements Gate.
func (g missingGate) Judge(context.Context, Candidate) (Verdict, error) {
	return Verdict{}, errors.New("the configuration that this retraining began under has a gate of type " + g.record.Type + ", which this program has not: it cannot be asked")
}
