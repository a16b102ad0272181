package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
)

// transitionWorkflow is the kind of workflow that transit is.
const transitionWorkflow = "mlloop.transition"

// transition is a decided move of a retraining to a stage: the recorded input
// of the workflow that carries it out.
type transition struct {
	Next   Retraining `json:"next"`
	Reason string     `json:"reason"`
	Events []Event    `json:"events,omitempty"` // what led to it, reported with it
	Now    time.Time  `json:"now"`
	Share  float64    `json:"share,omitempty"`
}

func (t transition) id() string { return fmt.Sprintf("%s/%s/%d", t.Next.ID, t.Next.Stage, t.Next.Step) }

func (r Retraining) id() string { return fmt.Sprintf("%s/%d", r.Model, r.Number) }

// in returns the retraining in another stage.
func (r Retraining) in(stage Stage, step int) Retraining {
	r.Stage, r.Step = stage, step
	return r
}

// apply decides a transition and carries it out. The decision is durable before
// anything of it shows: a life that follows finishes it and does not judge anew.
func (l *Loop) apply(ctx context.Context, now time.Time, t transition) error {
	t.Now, t.Next.StageSince = now, now
	switch {
	case t.Next.Stage.Final():
		t.Next.EndedAt = now
	case t.Next.Stage == Canarying:
		t.Share = l.config.Rollout.share(t.Next.Step)
	}
	if l.watcher != nil {
		t.Next.LabelSeq, t.Next.PredictionSeq = l.watcher.checkpoint.LabelSeq, l.watcher.checkpoint.PredictionSeq
	}
	l.memory.Pending = &t
	if err := l.putState(ctx); err != nil {
		return err
	}
	return l.finishPending(ctx)
}

// finishPending carries out what was decided, in this life or one before.
func (l *Loop) finishPending(ctx context.Context) error {
	t := l.memory.Pending
	if t == nil {
		return nil
	}
	_, err := l.runWorkflow(ctx, transitionWorkflow, t.id(), t)
	switch {
	case err == nil:
		l.memory.Pending = nil
		return nil
	case putOff(ctx, err):
		return err
	case t.Next.Stage == Promoted && errors.Is(err, ErrConflict):
		l.memory.Pending = nil // a person was quicker: the next step sees whom they chose
	case !t.Next.Stage.Final() || t.Next.Stage == Promoted:
		failed := t.Next.in(Failed, 0)
		failed.Error = err.Error()
		return l.apply(ctx, t.Now, transition{Next: failed, Reason: failed.Error, Events: t.Events})
	}
	return errors.Join(err, l.putState(ctx))
}

// transit is the workflow route → registry → record. Every step of it may be
// done again.
func (l *Loop) transit(ctx context.Context, steps Steps, input []byte) ([]byte, error) {
	var t transition
	if err := json.Unmarshal(input, &t); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		do   func(context.Context, transition) error
	}{{"route", l.route}, {"registry", l.moveAlias}, {"record", l.record}} {
		_, err := step(ctx, steps, s.name, func(ctx context.Context) (bool, error) { return true, s.do(ctx, t) })
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// route makes the server answer as the stage says. The alias tells the primary,
// so that a person's move of it holds, but for a promotion, which moves it next.
func (l *Loop) route(ctx context.Context, t transition) error {
	r := t.Next
	want := serve.Route{Model: l.config.Model, Salt: r.ID}
	alias, err := l.registry(t.Now).Alias(ctx, l.config.Model, registry.Champion)
	switch {
	case err == nil:
		want.Primary = alias.Version
	case !errors.Is(err, ErrNotFound):
		return err
	default: // nobody is champion: whoever answers goes on
		current, err := l.server.Route(ctx, l.config.Model)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		want.Primary = current.Primary
	}
	switch r.Stage {
	case Shadowing:
		want.Shadow = r.Version
	case Canarying:
		want.Canary, want.Share = r.Version, t.Share
	case Promoted:
		if alias.Version != r.Champion && alias.Version != r.Version {
			return fault.Errorf(fault.Conflict, "version %d was made champion by hand", alias.Version)
		}
		want.Primary = r.Version
	}
	if want.Primary == 0 {
		return nil // a first fit that failed: nothing is served
	}
	return l.setRoute(ctx, want)
}

// setRoute makes want the route; one that is the route already changes nothing.
func (l *Loop) setRoute(ctx context.Context, want serve.Route) error {
	current, err := l.server.Route(ctx, l.config.Model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	want.Rev = current.Rev
	return l.server.SetRoute(ctx, want)
}

// moveAlias makes the registry say what the stage decided.
func (l *Loop) moveAlias(ctx context.Context, t transition) error {
	r := t.Next
	models := l.registry(t.Now)
	change := registry.Change{Reason: fmt.Sprintf("retraining %s: %s", r.ID, t.Reason)}
	switch r.Stage {
	case Promoted:
		if err := l.setState(ctx, models, r.Version, registry.Approved, change); err != nil {
			return err
		}
		return models.Promote(ctx, l.config.Model, r.Version, r.Champion, change)
	case Rejected, RolledBack, Failed:
		if r.Version != 0 {
			return l.setState(ctx, models, r.Version, registry.Rejected, change)
		}
	}
	return nil
}

// setState moves a candidate to the state, unless it is there already.
func (l *Loop) setState(ctx context.Context, models *registry.Client, version int64, to registry.State, change registry.Change) error {
	v, err := models.Version(ctx, l.config.Model, version)
	if err != nil || v.State == to {
		return err
	}
	return models.SetState(ctx, l.config.Model, version, v.State, to, change)
}

// record stores the retraining in its new stage and reports it.
func (l *Loop) record(ctx context.Context, t transition) error {
	r := t.Next
	if err := l.config.Stores.Retrain.PutRetraining(ctx, r); err != nil {
		return err
	}
	for _, e := range append(t.Events, Event{Kind: string(r.Stage), Text: t.describe(), Key: t.id()}) {
		e.Time = t.Now
		if err := l.report(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (t transition) describe() string {
	r := t.Next
	switch r.Stage {
	case Shadowing:
		return fmt.Sprintf("version %d runs in the shadow of version %d", r.Version, r.Champion)
	case Canarying:
		return fmt.Sprintf("version %d answers %g %% of the keys", r.Version, 100*t.Share)
	case Promoted:
		return fmt.Sprintf("version %d is the champion: %s", r.Version, t.Reason)
	case RolledBack:
		return fmt.Sprintf("version %d is rolled back, version %d answers all: %s", r.Version, r.Champion, t.Reason)
	}
	return fmt.Sprintf("retraining %s is %s: %s", r.ID, r.Stage, t.Reason)
}

// verdictEvent is the event of a judgement.
func verdictEvent(kind, key string, v Verdict) Event {
	word := "fails"
	if v.Pass {
		word = "passes"
	}
	return Event{Kind: kind, Key: key, Text: fmt.Sprintf("%s %s: %s", v.Gate, word, v.Reason)}
}
