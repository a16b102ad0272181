package retrain

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// consider starts a retraining when a trigger wants one and the policy permits.
func (l *Loop) consider(ctx context.Context, now time.Time, history []Retraining) error {
	causes, err := l.causes(ctx, now, history)
	if err != nil || len(causes) == 0 {
		return err
	}
	if reason, ok := l.config.Policy.permits(now, history, l.memory.ResumedAt); !ok {
		return l.suppress(ctx, now, causes, reason, history)
	}
	r := Retraining{
		Model: l.config.Model, Number: history[len(history)-1].Number + 1,
		Causes: causes, Stage: Fitting, Champion: l.watcher.checkpoint.Version, StartedAt: now, StageSince: now,
		LabelSeq: l.watcher.checkpoint.LabelSeq,
	}
	r.ID = r.id()
	if err := l.config.Stores.Retrain.PutRetraining(ctx, r); err != nil {
		return err
	}
	return l.advanceFit(ctx, now, r)
}

// causes asks a person's request and the triggers.
func (l *Loop) causes(ctx context.Context, now time.Time, history []Retraining) ([]Cause, error) {
	alerts, err := l.config.Stores.Drift.Alerts(ctx, l.config.Model, true)
	if err != nil {
		return nil, err
	}
	last := history[len(history)-1]
	s := Situation{Now: now, Alerts: alerts, LastStart: last.StartedAt, Live: l.watcher.live()}
	s.Baseline = originOf(history, l.watcher.checkpoint.Version).Holdout
	var causes []Cause
	if m := l.memory.Manual; m != nil && last.Number <= m.After {
		causes = append(causes, Cause{Trigger: "manual", Detail: m.Reason})
	}
	for _, t := range l.config.Triggers {
		cause, err := wanted(t, s)
		if err != nil {
			l.config.Logger.ErrorContext(ctx, "a trigger failed", "model", l.config.Model, "error", err)
			continue
		}
		if cause != nil {
			causes = append(causes, *cause)
		}
	}
	return causes, nil
}

// wanted asks one trigger; its panic is its error.
func wanted(t Trigger, s Situation) (cause *Cause, err error) {
	defer func() { err = recovered(recover(), err) }()
	return t.Wanted(s)
}

// recovered makes the panic of a part that the service brought an error: the
// service goes on, and so does the loop.
func recovered(p any, err error) error {
	if p == nil {
		return err
	}
	return fault.Errorf(fault.Invalid, "panic: %v\n%s", p, debug.Stack())
}

// originOf returns the retraining that made the version champion; the zero one
// when it was made by hand.
func originOf(history []Retraining, version int64) Retraining {
	for _, r := range history {
		if r.Stage == Promoted && r.Version == version {
			return r
		}
	}
	return Retraining{}
}

// suppress reports, once, why the policy holds a wanted retraining back.
func (l *Loop) suppress(ctx context.Context, now time.Time, causes []Cause, reason string, history []Retraining) error {
	last := history[len(history)-1]
	kind := EventSuppressed
	if l.config.Policy.stopped(history, l.memory.ResumedAt) {
		kind = EventStopped
	}
	key := fmt.Sprintf("%s/%s/%s", last.ID, kind, causes[0].Trigger)
	if l.memory.Suppressed == key {
		return nil
	}
	l.memory.Suppressed = key
	return l.report(ctx, Event{Time: now, Kind: kind, Key: key, Text: fmt.Sprintf("%s wanted: %s", causes[0].Trigger, reason)})
}
