package retrain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// configurationFormat is the version of configuration's JSON.
const configurationFormat = 1

// configuration is all of a Config that decides what becomes champion, as it is
// stored with the retrainings that were begun under it. What is code is named by
// its type and Go value. Sources, senders and stores are left out: they decide
// nothing, and they know passwords.
type configuration struct {
	Format       int           `json:"format"`
	Model        string        `json:"model"`
	Time         string        `json:"time"`
	Entity       string        `json:"entity"`
	Label        string        `json:"label"`
	Inputs       []string      `json:"inputs"`
	LabelDelay   span          `json:"label_delay"`
	Holdout      span          `json:"holdout"`
	Features     any           `json:"features"`
	Trainer      any           `json:"trainer"`
	Gates        []gateRecord  `json:"gates"`
	Triggers     any           `json:"triggers"`
	Policy       any           `json:"policy"`
	Rollout      rolloutRecord `json:"rollout"`
	Drift        any           `json:"drift"`
	Mode         Mode          `json:"mode"`
	Inconclusive Consequence   `json:"inconclusive"`
	FitTimeout   span          `json:"fit_timeout"`
	Seed         uint64        `json:"seed"`
	Program      program       `json:"program"`
}

// program is what the build says of the program that runs the loop.
type program struct {
	Path     string `json:"path"`     // of the main package
	Version  string `json:"version"`  // of its module
	Revision string `json:"revision"` // of its version control; "": not on record
	Modified bool   `json:"modified"` // the source differed from the revision
	Go       string `json:"go"`
}

// span is a time.Duration as JSON for readers: 24h0m0s.
type span time.Duration

// MarshalText implements encoding.TextMarshaler.
func (s span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = span(d)
	return err
}

// describeConfig notes the configuration and its digest, once a life.
func (l *Loop) describeConfig() error {
	raw, err := json.Marshal(configurationOf(l.config))
	if err != nil {
		return fault.Errorf(fault.Invalid, "the configuration cannot be put on record: %w", err)
	}
	sum := sha256.Sum256(raw)
	l.written, l.digest = raw, hex.EncodeToString(sum[:])
	l.terms, l.termsFrom = termsOf(l.config), l.digest
	return nil
}

func configurationOf(c Config) configuration {
	out := configuration{
		Format: configurationFormat, Model: c.Model, Time: c.Time, Entity: c.Entity, Label: c.Label, Inputs: c.Inputs,
		LabelDelay: span(c.LabelDelay), Holdout: span(c.Holdout), Features: describe(c.Features), Trainer: describe(c.Trainer),
		Triggers: describe(c.Triggers), Policy: describe(c.Policy), Rollout: rolloutRecordOf(c.Rollout), Drift: describe(c.Drift),
		Mode: c.Mode, Inconclusive: c.Inconclusive, FitTimeout: span(c.FitTimeout), Seed: c.Seed, Program: thisProgram(),
	}
	for _, g := range c.Gates {
		out.Gates = append(out.Gates, gateRecordOf(g))
	}
	return out
}

func thisProgram() program {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return program{}
	}
	p := program{Path: info.Path, Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Revision = s.Value
		case "vcs.modified":
			p.Modified = s.Value == "true"
		}
	}
	return p
}

// noteConfig stores the configuration that this process leads under, and tells
// of one that differs from the last leader's.
func (l *Loop) noteConfig(ctx context.Context) error {
	store, before := l.config.Stores.Retrain, l.memory.Config
	if err := store.PutConfig(ctx, l.digest, l.written); err != nil {
		return fmt.Errorf("store the configuration: %w", err)
	}
	if before == l.digest {
		return nil
	}
	if before != "" {
		if err := l.reportConfig(ctx, before); err != nil {
			return err
		}
	}
	l.memory.Config = l.digest
	return l.putState(ctx)
}

func (l *Loop) reportConfig(ctx context.Context, before string) error {
	changes := "the former one cannot be read"
	old, err := l.config.Stores.Retrain.Config(ctx, before)
	if err == nil {
		changes, err = describeChanges(old, l.written)
	}
	if err != nil && fault.Kind(err) == fault.Unavailable {
		return err
	}
	if err != nil {
		changes = fmt.Sprintf("the former one cannot be read: %v", err)
	}
	text := fmt.Sprintf("the configuration is %s, and was %s: %s", l.digest, before, changes)
	if a := l.memory.Attempt; a != nil && a.Retraining.Config != l.digest {
		text += fmt.Sprintf("; retraining %s, which is under way, keeps the gates and the rollout that it began with", a.Retraining.ID)
	}
	return l.report(ctx, Event{Time: timestamp(l.config.Now()), Kind: EventConfig, Key: fmt.Sprintf("config/%d", l.token), Text: text})
}
