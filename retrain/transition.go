package retrain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
)

// transition is a decided move of a retraining to a stage. It is stored before
// anything of it shows, and every piece of it may be done again: a life that
// follows carries it out and does not judge anew.
type transition struct {
	Next   Retraining `json:"next"` // in its new stage
	Events []Event    `json:"events,omitempty"`
	Now    time.Time  `json:"now"`
	Alias  int64      `json:"alias,omitempty"` // registry.Alias.Seq of the champion's, when it was decided
}

// id names a transition: a retraining enters a stage at a weight once.
func (t transition) id() string {
	return fmt.Sprintf("%s/%s/%d", t.Next.ID, t.Next.Stage, t.Next.Weight)
}

func (r Retraining) id() string { return fmt.Sprintf("%s/%d", r.Model, r.Number) }

// move decides a transition of the retraining under way and carries it out.
func (l *Loop) move(ctx context.Context, now time.Time, r Retraining, d decision) error {
	if err := l.cancelFit(ctx); err != nil { // one that has ended stays as it is
		return err
	}
	before := r.Stage
	from := fmt.Sprintf("%s/%s/%d", r.ID, r.Stage, r.Weight)
	r.Stage, r.Weight, r.StageSince, r.Reason = d.Next, d.Weight, now, d.Reason
	r.Verdicts = append(r.Verdicts, d.Verdicts...)
	if r.Stage.Final() {
		r.EndedAt = now
	}
	t := transition{Next: r, Now: now, Alias: l.alias}
	kinds := map[Stage]string{Fitting: EventGate, Shadowing: EventShadow, Canarying: EventCanary}
	for i, v := range d.Verdicts {
		t.Events = append(t.Events, verdictEvent(kinds[before], fmt.Sprintf("%s/verdict/%d", from, i), v))
	}
	if d.Unjudged != "" {
		t.Events = append(t.Events, Event{Kind: EventUnjudged, Key: from + "/unjudged", Text: fmt.Sprintf("version %d goes on unjudged, as the configuration says: %s", r.Version, d.Unjudged)})
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
	err := l.carryOut(ctx, *t)
	if errors.Is(err, ErrConflict) {
		if other := l.stillLeads(ctx); other != nil {
			return other // it stays pending, and is the leader's
		}
	}
	switch {
	case err == nil:
		if err = l.recordStage(ctx, t); err != nil {
			return err // it has happened, and stays pending until the record says so
		}
		l.settleTransition(*t)
		return l.putState(ctx)
	case ctx.Err() != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrClosed):
		return err // it stays pending
	case t.Next.Stage == Promoted && errors.Is(err, ErrConflict):
		return l.replacePending(ctx, *t, Superseded, "a person was quicker: "+err.Error())
	case t.Next.Stage == Promoted && l.moved(ctx, *t):
		return err // likewise
	case t.Next.Stage != Failed:
		return l.replacePending(ctx, *t, Failed, err.Error())
	}
	return err
}

// moved reports whether the alias names the promoted version, or may do so: an
// error does not say that nothing was done.
func (l *Loop) moved(ctx context.Context, t transition) bool {
	alias, err := l.registry(t.Now).Alias(ctx, l.config.Model, registry.Champion)
	return (err != nil && !errors.Is(err, ErrNotFound)) || alias.Version == t.Next.Version
}

// replacePending gives up what was decided: it cannot be carried out.
func (l *Loop) replacePending(ctx context.Context, t transition, stage Stage, reason string) error {
	t.Next.Stage, t.Next.Reason, t.Next.EndedAt = stage, reason, t.Now
	l.memory.Pending = &t
	if err := l.putState(ctx); err != nil {
		return err
	}
	return l.finishPending(ctx)
}

// carryOut does what the stage means: route, then registry. The record follows.
func (l *Loop) carryOut(ctx context.Context, t transition) error {
	if err := l.routeStage(ctx, t); err != nil {
		return err
	}
	return l.registerStage(ctx, t)
}

// settleTransition brings the memory to where the transition leads.
func (l *Loop) settleTransition(t transition) {
	m := &l.memory
	m.Pending, m.DecidedAt = nil, t.Now
	m.wait("judge", "")
	m.wait("fit", "")
	if t.Next.Stage.Final() {
		m.Ledger.end(t.Now, t.Next)
		m.Attempt = nil
		l.terms, l.termsFrom = termsOf(l.config), l.digest
		if t.Next.Stage == Promoted {
			m.Followed = t.Next.Version
			l.history.Store(nil)
		}
		return
	}
	a := m.Attempt
	entered := a.Retraining.Stage != Canarying && t.Next.Stage == Canarying
	a.Retraining = t.Next
	if w := l.watcher; w != nil {
		a.PredictionSeq, a.LabelSeq = w.checkpoint.PredictionSeq, w.checkpoint.LabelSeq
	}
	if entered {
		a.RolloutSince, a.RolloutSeq, a.RolloutLabel = t.Now, a.PredictionSeq, a.LabelSeq
	}
}

// routeStage makes the server answer as the stage says. The alias tells the
// primary, so that a person's move of it holds, but for a promotion, which moves
// it next.
func (l *Loop) routeStage(ctx context.Context, t transition) error {
	r := t.Next
	alias, err := l.registry(t.Now).Alias(ctx, l.config.Model, registry.Champion)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	want := l.routeFor(alias.Version, &attempt{Retraining: r})
	if r.Stage == Promoted {
		if alias.Version != r.Champion && alias.Version != r.Version {
			return fault.Errorf(fault.Conflict, "version %d was made champion by hand", alias.Version)
		}
		want = serve.Route{Model: l.config.Model, Primary: r.Version}
	}
	if want.Primary == 0 { // nobody is champion: whoever answers goes on, alone
		current, err := l.server.Route(ctx, l.config.Model)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		want.Primary = current.Primary
	}
	return l.trySetRoute(ctx, want)
}

// registerStage makes the registry say what the stage decided.
func (l *Loop) registerStage(ctx context.Context, t transition) error {
	r := t.Next
	models := l.registry(t.Now)
	change := registry.Change{Reason: fmt.Sprintf("retraining %s: %s", r.ID, r.Reason), Token: t.Alias}
	switch r.Stage {
	case Promoted:
		if err := l.setState(ctx, models, r.Version, registry.Approved, change); err != nil {
			return err
		}
		_, err := models.Promote(ctx, l.config.Model, r.Version, r.Champion, change)
		return err
	case Rejected, RolledBack, Failed, Inconclusive, Superseded:
		if r.Version != 0 {
			return l.setState(ctx, models, r.Version, registry.Rejected, change)
		}
	}
	return nil
}

// setState moves a candidate to the state; a version that is something else was
// judged by a person.
func (l *Loop) setState(ctx context.Context, models *registry.Client, version int64, to registry.State, change registry.Change) error {
	v, err := models.Version(ctx, l.config.Model, version)
	if err != nil || v.State == to || (v.State != registry.Candidate && to == registry.Rejected) {
		return err
	}
	return models.SetState(ctx, l.config.Model, version, v.State, to, change)
}

// recordStage stores the retraining in its new stage and reports it.
func (l *Loop) recordStage(ctx context.Context, t *transition) error {
	var err error
	if t.Next, err = l.record(ctx, t.Next); err != nil {
		return err
	}
	for _, e := range append(t.Events, Event{Kind: string(t.Next.Stage), Text: l.describe(t.Next), Key: t.id()}) {
		e.Time = t.Now
		if err := l.report(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (l *Loop) describe(r Retraining) string {
	switch r.Stage {
	case Shadowing:
		return fmt.Sprintf("version %d runs in the shadow of version %d", r.Version, r.Champion)
	case Canarying:
		return fmt.Sprintf("version %d answers %g %% of the keys", r.Version, 100*l.terms.Rollout.weight(r.Weight))
	case Promoted:
		return fmt.Sprintf("version %d is the champion: %s", r.Version, r.Reason)
	case Recommended:
		return fmt.Sprintf("version %d is recommended in the place of version %d: call Promote: %s", r.Version, r.Champion, r.Reason)
	case RolledBack:
		if r.Version == 0 { // in its fit
			break
		}
		return fmt.Sprintf("version %d is rolled back, version %d answers all: %s", r.Version, r.Champion, r.Reason)
	}
	return fmt.Sprintf("retraining %s is %s: %s", r.ID, r.Stage, r.Reason)
}
