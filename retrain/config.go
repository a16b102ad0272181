package retrain

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/metric"
)

// Config says what a Loop keeps right, and how.
type Config struct {
	Model  string  // name in the registry and on the wire
	Stores *Stores // retrainsql.Open, or retraintest.NewStores in a test
	Data   Source  // the rows to learn from

	Time       string        // column of Data with the time of the row: a timestamp, milliseconds since 1970, or RFC 3339 text
	Key        string        // column that identifies the row's subject; never an input unless Inputs names it. "": none
	Label      string        // column to predict: String, Int64 or Bool; null where it is not known
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

	// Flavors load the bundles that the Trainer makes, by Manifest.Flavor, when
	// they are not those of train.MLP. What they load must be a serve.Classifier.
	Flavors map[string]serve.Loader

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

// checker is a part that can be wrong from the start.
type checker interface{ check(p *fault.Problems) }

// check reports every problem of the configuration at once.
func (c Config) check() error {
	var p fault.Problems
	for _, need := range []struct {
		name    string
		missing bool
	}{{"Data", c.Data == nil}, {"Time", c.Time == ""}, {"Label", c.Label == ""}, {"Trainer", c.Trainer == nil}} {
		if need.missing {
			p.Addf("%s is missing", need.name)
		}
	}
	if ref, err := registry.ParseRef(registry.VersionRef(c.Model, 1)); err != nil || ref.Model != c.Model {
		p.Addf("Model %q is no name that the registry takes", c.Model)
	}
	c.checkColumns(&p)
	if c.LabelDelay < 0 || c.Holdout < 0 || c.Every < 0 {
		p.Addf("LabelDelay, Holdout and Every must not be negative")
	}
	c.Stores.check(&p)
	c.Policy.check(&p)
	c.Rollout.check(&p)
	for i, g := range c.Gates {
		checkPart(&p, "Gates", i, g)
	}
	for i, t := range c.Triggers {
		checkPart(&p, "Triggers", i, t)
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("retrain: configuration of %q: %w", c.Model, err)
	}
	return nil
}

// checkColumns keeps the model from seeing what it is to predict.
func (c Config) checkColumns(p *fault.Problems) {
	if c.Label != "" && (c.Label == c.Time || c.Label == c.Key) {
		p.Addf("Label %q is the Time or the Key column: it cannot be both", c.Label)
	}
	if c.Inputs != nil && len(c.Inputs) == 0 {
		p.Addf("Inputs is empty: name a column, or leave it nil for all")
	}
	seen := make(map[string]bool)
	for _, name := range c.Inputs {
		if name == c.Label {
			p.Addf("Inputs names the label %q", name)
		}
		if seen[name] {
			p.Addf("Inputs names %q twice", name)
		}
		seen[name] = true
	}
}

func checkPart(p *fault.Problems, field string, i int, part any) {
	var own fault.Problems
	if part == nil {
		own.Addf("it is nil")
	} else if c, ok := part.(checker); ok {
		c.check(&own)
	}
	for _, text := range own {
		p.Addf("%s[%d]: %s", field, i, text)
	}
}

func checkMetric(p *fault.Problems, name string) {
	if _, err := metric.ByName(name); err != nil {
		p.Addf("%v", err)
	}
}
