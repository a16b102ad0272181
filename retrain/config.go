package retrain

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/metric"
)

// Config says what a Loop keeps right, and how.
type Config struct {
	Model  string  // name in the registry and on the wire
	Stores *Stores // retrainsql.Open, or retraintest.NewStores in a test
	Data   Source  // the rows to learn from

	Time       string        // column of Data with the time of the row
	Key        string        // column that identifies the row's subject; never an input unless Inputs names it. "": none
	Label      string        // column to predict
	LabelDelay time.Duration // how long after its row a label is known
	Inputs     []string      // the columns that the model sees; nil: all but Time, Key and Label

	Features feature.Pipeline
	Trainer  train.Trainer // such as train.MLP{}

	// Holdout is the time whose rows, the latest labelled ones, are kept from
	// fitting: on them the challenger is compared with the champion. 0: 7 days.
	Holdout  time.Duration
	Gates    []Gate
	Triggers []Trigger // none: only Retrain starts one
	Policy   Policy
	Rollout  Rollout
	Drift    *drift.Options // of the monitor; nil: its defaults

	Seed   uint64
	Every  time.Duration    // between the steps of Run. 0: 1 minute
	Now    func() time.Time // the clock that stamps predictions and labels. nil: time.Now
	Logger *slog.Logger     // nil: silent
}

const (
	defaultHoldout = 7 * 24 * time.Hour
	defaultEvery   = time.Minute
)

func (c Config) withDefaults() Config {
	if c.Holdout == 0 {
		c.Holdout = defaultHoldout
	}
	if c.Every == 0 {
		c.Every = defaultEvery
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Rollout = c.Rollout.withDefaults()
	return c
}

// check reports every problem of the configuration at once.
func (c Config) check() error {
	var p fault.Problems
	for name, missing := range map[string]bool{
		"Model": c.Model == "", "Data": c.Data == nil, "Time": c.Time == "", "Label": c.Label == "", "Trainer": c.Trainer == nil,
	} {
		if missing {
			p.Addf("%s is missing", name)
		}
	}
	if c.LabelDelay < 0 || c.Holdout < 0 || c.Every < 0 {
		p.Addf("LabelDelay, Holdout and Every must not be negative")
	}
	if c.Policy.Cooldown < 0 || c.Policy.Per < 0 || c.Policy.MaxFailures < 0 {
		p.Addf("Policy: Cooldown, Per and MaxFailures must not be negative")
	}
	if _, err := metric.ByName(c.Rollout.Metric); err != nil {
		p.Addf("Rollout: Metric: %v", err)
	}
	c.Stores.check(&p)
	c.Rollout.check(&p)
	if err := p.Err(); err != nil {
		return fmt.Errorf("retrain: configuration of %q: %w", c.Model, err)
	}
	return nil
}
