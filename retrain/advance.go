package retrain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mlloop/mlloop/registry"
)

// advance moves the retraining under way on as far as it can come at now, or
// begins the next one. A step makes one transition.
func (l *Loop) advance(ctx context.Context, now time.Time, champion int64) error {
	if l.memory.Pending != nil || now.Equal(l.memory.DecidedAt) {
		return nil
	}
	a := l.memory.Attempt
	if a == nil {
		return l.consider(ctx, now, champion)
	}
	f, err := l.gather(ctx, now, champion)
	if err != nil {
		return err
	}
	d := decide(l.rules(), f)
	if d.Next != "" {
		return l.move(ctx, now, f.Retraining, d)
	}
	if f.Retraining.Stage != Fitting || f.Paused {
		return nil
	}
	if f.Fit != nil && f.Fit.PutOff != "" {
		return l.putOffFit(ctx, now, f.Fit.PutOff)
	}
	if a.FitStartedAt.IsZero() {
		return l.startFit(ctx, now)
	}
	return nil
}

func (l *Loop) rules() rules {
	c := l.terms
	return rules{
		Mode: c.Mode, Shadow: c.Rollout.Shadow > 0, Weights: len(c.Rollout.Weights),
		Gates: c.Inconclusive, Rollout: c.Rollout.Inconclusive,
	}
}

// gather finds the facts about the retraining under way.
func (l *Loop) gather(ctx context.Context, now time.Time, champion int64) (facts, error) {
	a := l.memory.Attempt
	f := facts{Now: now, Retraining: a.Retraining, Champion: champion, Paused: l.memory.Paused != nil}
	if f.Withdrawn = l.unroutable; f.Withdrawn != "" {
		return f, nil
	}
	if f.Paused && a.Retraining.Stage != Fitting {
		return f, l.tellHarm(ctx, now) // a look whose verdict is not acted on would be lost, and its part of the level
	}
	var err error
	switch a.Retraining.Stage {
	case Fitting:
		if f.Fit, err = l.lookAtFit(ctx, now); err == nil && f.Fit != nil && f.Fit.Done && f.Fit.Err == nil {
			f.Fit.Output.addTo(&f.Retraining)
		}
	case Shadowing:
		if version, why, hangs := l.server.HangingShadow(l.config.Model); hangs && version == a.Retraining.Version {
			f.Verdict = &Verdict{Gate: "shadow: no harm", Outcome: Fail, Reason: why}
			return f, nil
		}
		f.Verdict, f.Overdue, err = l.judgeShadow(ctx, now)
	case Canarying:
		if version, why, off := l.server.Withdrawn(l.config.Model); off && version == a.Retraining.Version {
			f.Withdrawn = why
			return f, nil
		}
		f.Harm, f.Verdict, f.Overdue, err = l.judgeCanary(ctx, now)
	}
	return f, err
}

// consider begins a retraining when a trigger wants one and the policy permits.
func (l *Loop) consider(ctx context.Context, now time.Time, champion int64) error {
	if l.memory.Paused != nil {
		return nil
	}
	if before := l.memory.Followed; champion == 0 && before != 0 {
		l.memory.wait("begin", "nobody is champion: call Promote, or set the alias")
		return l.tell(ctx, now, fmt.Sprintf("waiting/alias/%d", before), EventByHand, "the champion's alias was deleted by hand: version %d answers on, and nothing is begun until Promote or the alias names a champion: a first fit has no gates", before)
	}
	if champion == 0 {
		return l.considerFirst(ctx, now)
	}
	causes := l.causes(ctx, now, champion)
	l.memory.wait("begin", "")
	if len(causes) == 0 {
		return nil
	}
	reason, ok := l.config.Policy.permits(now, l.memory.Ledger)
	if ok {
		causes, reason = l.due(now, causes)
		ok = len(causes) > 0
	}
	if !ok {
		return l.suppress(ctx, now, reason)
	}
	if until, why, err := l.comparableFrom(ctx, champion); err != nil {
		return err
	} else if !now.After(until) {
		l.memory.wait("begin", fmt.Sprintf("a retraining (%s) waits until %s: %s", causes[0].Trigger, until.Format(time.RFC3339), why))
		return l.tell(ctx, now, "waiting/rows", EventWaiting, "%s wanted, which waits until %s: %s", causes[0].Trigger, until.Format(time.RFC3339), why)
	}
	return l.begin(ctx, now, champion, causes)
}

// considerFirst begins the fit of a first champion.
func (l *Loop) considerFirst(ctx context.Context, now time.Time) error {
	p, g := l.config.Policy, l.memory.Ledger
	if p.stopped(g) {
		return l.suppress(ctx, now, fmt.Sprintf("there is no champion, and %d fits in a row failed: look at Retrainings, then call ResetFailures", g.Failures))
	}
	if g.Failures > 0 && now.Before(g.LastStart.Add(tryAgainAfter(g.Failures))) {
		return nil
	}
	return l.begin(ctx, now, 0, []Cause{{Trigger: triggerFirst, Detail: "there is no champion"}})
}

// begin starts a retraining and its fit.
func (l *Loop) begin(ctx context.Context, now time.Time, champion int64, causes []Cause) error {
	m := &l.memory
	// On record before it is under way: what cannot be recorded is not begun.
	r, err := l.recordStart(ctx, now, champion, causes)
	if err != nil {
		return err
	}
	if err := l.report(ctx, Event{Time: now, Kind: EventStarted, Key: r.ID + "/started", Text: describeStart(r)}); err != nil {
		return err
	}
	l.terms, l.termsFrom = termsOf(l.config), l.digest
	m.Attempt = &attempt{Retraining: r, FromHistory: champion == 0 && l.history.Load() != nil}
	m.Ledger.begin(now, r)
	m.Ledger.answer(now, l.worst())
	m.Manual = nil
	m.wait("begin", "")
	for topic := range m.Told {
		if strings.HasPrefix(topic, "suppressed") || strings.HasPrefix(topic, "waiting") {
			m.forget(topic)
		}
	}
	if err := l.reportReach(ctx, now, r); err != nil {
		return err
	}
	return l.startFit(ctx, now)
}

func describeStart(r Retraining) string {
	var causes []string
	for _, c := range r.Causes {
		causes = append(causes, c.Trigger+" ("+c.Detail+")")
	}
	if r.Champion == 0 {
		return fmt.Sprintf("first fit %s: %s", r.ID, strings.Join(causes, "; "))
	}
	return fmt.Sprintf("retraining %s against version %d: %s", r.ID, r.Champion, strings.Join(causes, "; "))
}

// suppress reports, once, why a wanted retraining is held back.
func (l *Loop) suppress(ctx context.Context, now time.Time, reason string) error {
	l.memory.wait("begin", "a retraining is held back: "+reason)
	if l.config.Policy.stopped(l.memory.Ledger) {
		return l.tell(ctx, now, "suppressed/stopped", EventStopped, "no retraining is begun: %s", reason)
	}
	topic, _, _ := strings.Cut(reason, " ") // the figures in it change with the time
	return l.tell(ctx, now, "suppressed/"+topic, EventSuppressed, "a retraining is wanted, and held back: %s", reason)
}

// comparableFrom is the time from which there can be a whole holdout that the
// champion was not fitted on and whose labels are known, with why. It matters for
// a first champion: those after it leave their own holdout out.
func (l *Loop) comparableFrom(ctx context.Context, champion int64) (time.Time, string, error) {
	v, err := l.registry(time.Time{}).Version(ctx, l.config.Model, champion)
	if err != nil {
		return time.Time{}, "", err
	}
	to, holdout := fittedTo(v), l.holdoutTime(v.Lineage)
	why := fmt.Sprintf("version %d was fitted on rows up to %s; no model is judged on such rows, nor on any within the label delay after them, and %s of later ones are held out", champion, to.Format(time.RFC3339), holdout)
	return to.Add(2*l.config.LabelDelay + holdout), why, nil
}

// fittedTo is the time of the last row that a version was fitted on; where that
// is not on record, the version's own making, which no such row can be after.
func (l *Loop) fittedTo(ctx context.Context, version int64) (time.Time, error) {
	v, err := l.registry(time.Time{}).Version(ctx, l.config.Model, version)
	return fittedTo(v), err
}

func fittedTo(v registry.Version) time.Time {
	if v.Lineage.DataTo.IsZero() {
		return v.CreatedAt
	}
	return v.Lineage.DataTo
}

// origin returns the retraining that made the version; the zero one when it was
// made by hand.
func (l *Loop) origin(ctx context.Context, version int64) (Retraining, error) {
	made, err := l.config.Stores.Retrain.Retrainings(ctx, RetrainingQuery{Model: l.config.Model, Version: version, Last: 1})
	if err != nil || len(made) == 0 {
		return Retraining{}, err
	}
	return made[0], nil
}

// tryAgainAfter is the time before something that failed for want of a resource
// is tried again: a minute, doubled with each failure, an hour at most.
func tryAgainAfter(tries int) time.Duration {
	return min(time.Minute<<min(max(tries-1, 0), 10), time.Hour)
}

// isClosed reports that a store, the engine or the server is closed: the end of
// this life, not of the work.
func isClosed(err error) bool { return errors.Is(err, ErrClosed) }
