package retrain

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/metric"
)

// Mode says how much the loop may do by itself.
type Mode string

// The modes.
const (
	Automatic Mode = ""          // it promotes and rolls back
	Recommend Mode = "recommend" // it fits, judges and runs shadows; a person calls Promote
)

// Config says what a Loop keeps right, and how.
type Config struct {
	Model  string  // name in the registry and on the wire
	Stores *Stores // retrainsql.Open, or retraintest.NewStores in a test
	Data   Source  // the rows to learn from

	Time       string        // column of Data with the time of the row: a timestamp, milliseconds since 1970, or RFC 3339 text
	Entity     string        // column that identifies the row's subject; never an input unless Inputs names it. "": none
	Label      string        // column to predict: String, Int64 or Bool; null where it is not known
	LabelDelay time.Duration // how long after its row a label is known
	Inputs     []string      // the columns that the model sees; nil: all but Time, Entity and Label

	// Labels tells the truth about predictions, read at every step. Nil: labels
	// come by the feedback call of Handler, or by Server().Label.
	Labels LabelSource

	Features feature.Pipeline
	Trainer  train.Trainer // such as train.MLP{}

	// Holdout is the time whose rows, the latest labelled ones, are kept from
	// fitting: on them the challenger is compared with the champion. Only rows are
	// compared that are later than what both were fitted on, by LabelDelay more.
	// 0: the longer of 7 days and the rows that give the gates a power of 0.8, at
	// most 30 % of the rows.
	Holdout  time.Duration
	Gates    []Gate
	Triggers []Trigger // none: only Retrain starts one
	Policy   Policy
	Rollout  Rollout
	Drift    *drift.Options // of the monitor; nil: its defaults
	Mode     Mode

	// Inconclusive says what a gate that cannot tell leads to. "": KeepChampion.
	Inconclusive Consequence

	// Alerts are told of drift alerts and of what the loop did. See Deliver.
	Alerts []alert.Sender

	// Flavors load the bundles that the Trainer makes, by Manifest.Flavor, when
	// they are not those of train.MLP. What they load must be a serve.Classifier.
	Flavors map[string]serve.Loader

	FitTimeout time.Duration // after which a fit is cancelled, all lives of it together. 0: 6 hours
	Procs      int           // processors that a fit may use beside traffic. 0: a quarter of them, at least one
	Retention  Retention     // of the prediction log

	Seed     uint64
	Interval time.Duration    // between the steps of Run. 0: 1 minute
	Lease    time.Duration    // how long a process that leads and is not heard of keeps the others from leading. 0: 10 seconds
	Now      func() time.Time // the clock that stamps predictions and labels. nil: time.Now
	Logger   *slog.Logger     // nil: slog.Default, since the loop acts for people
}

const (
	leastHoldout      = 7 * 24 * time.Hour
	mostHoldout       = 0.3 // of the rows
	defaultInterval   = time.Minute
	defaultFitTimeout = 6 * time.Hour
	defaultLease      = 10 * time.Second
	leastLease        = 100 * time.Millisecond
)

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.FitTimeout == 0 {
		c.FitTimeout = defaultFitTimeout
	}
	if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Inconclusive == "" {
		c.Inconclusive = KeepChampion
	}
	c.Rollout = c.Rollout.withDefaults()
	c.Policy = c.Policy.withDefaults(c.LabelDelay)
	c.Retention = c.Retention.withDefaults()
	return c
}

// validator is a part that can be wrong from the start.
type validator interface{ validate(p *fault.Problems) }

// checker is a part of another package, or of the service's own, that can say
// before there is any data that it cannot work.
type checker interface{ Check() error }

// validate reports every problem of the configuration at once.
func (c Config) validate() error {
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
	c.validateColumns(&p)
	if c.LabelDelay < 0 || c.Holdout < 0 || c.Interval < 0 || c.FitTimeout < 0 || c.Procs < 0 {
		p.Addf("LabelDelay, Holdout, Interval, FitTimeout and Procs must not be negative")
	}
	if c.Lease < leastLease {
		p.Addf("Lease is %s: want %s or more", c.Lease, leastLease)
	}
	if c.Mode != Automatic && c.Mode != Recommend {
		p.Addf("Mode is %q: want Automatic or Recommend", c.Mode)
	}
	if c.Inconclusive != KeepChampion && c.Inconclusive != GoOn {
		p.Addf("Inconclusive is %q: want %q or %q", c.Inconclusive, KeepChampion, GoOn)
	}
	c.Stores.validate(&p)
	c.validateParts(&p)
	if err := p.Err(); err != nil {
		return fmt.Errorf("retrain: configuration of %q: %w", c.Model, err)
	}
	return nil
}

// validateParts asks every part that can be wrong from the start.
func (c Config) validateParts(p *fault.Problems) {
	c.Policy.validate(p)
	c.Rollout.validate(p)
	c.Retention.validate(p)
	for i, g := range c.Gates {
		validatePart(p, fmt.Sprintf("Gates[%d]", i), g)
	}
	for i, t := range c.Triggers {
		validatePart(p, fmt.Sprintf("Triggers[%d]", i), t)
	}
	if c.Data != nil {
		validatePart(p, "Data", c.Data)
	}
	if c.Labels != nil {
		validatePart(p, "Labels", c.Labels)
	}
	if c.Trainer != nil {
		validatePart(p, "Trainer", c.Trainer)
	}
	if c.Features != nil {
		validatePart(p, "Features", c.Features)
	}
	if err := c.Drift.Check(); err != nil {
		p.Addf("Drift: %v", err)
	}
	if err := alert.Check(c.Alerts...); err != nil {
		p.Addf("Alerts: %v", err)
	}
}

// validateColumns keeps the model from seeing what it is to predict.
func (c Config) validateColumns(p *fault.Problems) {
	if c.Label != "" && (c.Label == c.Time || c.Label == c.Entity) {
		p.Addf("Label %q is the Time or the Entity column: it cannot be both", c.Label)
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

func validatePart(p *fault.Problems, field string, part any) {
	var own fault.Problems
	switch v := part.(type) {
	case nil:
		own.Addf("it is nil")
	case validator:
		v.validate(&own)
	case checker:
		if err := v.Check(); err != nil {
			own.Addf("%v", err)
		}
	}
	for _, text := range own {
		p.Addf("%s: %s", field, text)
	}
}

func validateMetric(p *fault.Problems, name string) {
	if _, err := metric.ByName(name); err != nil {
		p.Addf("%v", err)
	}
}
