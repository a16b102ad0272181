package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
)

// Step brings the loop to the time now: it makes the prediction log durable,
// checks for drift, moves a rollout on, and starts a retraining when a trigger
// wants one and the policy permits it. It returns when all of that is durable.
// Steps go forward in time; one that was completed before does nothing. A step
// that was cut off, run again with the same now, comes to the same end.
func (l *Loop) Step(ctx context.Context, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = now.UTC().Truncate(time.Millisecond)
	if err := l.step(ctx, now); err != nil {
		return fmt.Errorf("retrain: step %s at %s: %w", l.config.Model, now.Format(time.RFC3339), err)
	}
	return nil
}

func (l *Loop) step(ctx context.Context, now time.Time) error {
	if err := l.launch(ctx); err != nil {
		return err
	}
	if !now.After(l.state.SteppedAt) {
		return nil
	}
	champion, err := l.firstChampion(ctx, now)
	if err != nil {
		return err
	}
	if err := l.server.Flush(ctx); err != nil {
		return err
	}
	if err := l.watch(ctx, now, champion); err != nil {
		return err
	}
	history, err := l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
	if err != nil {
		return err
	}
	last := history[len(history)-1]
	switch {
	case last.Stage.Final():
		if err = l.followAlias(ctx, champion); err == nil {
			err = l.consider(ctx, now, history)
		}
	case champion != last.Champion && champion != last.Version:
		err = l.enter(ctx, now, last, Rejected, 0, fmt.Sprintf("version %d was made champion by hand", champion))
	default:
		err = l.advance(ctx, now, last)
	}
	if err != nil {
		return err
	}
	l.state.SteppedAt = now
	return l.putState(ctx)
}

// firstChampion returns the champion's version, after fitting a first one
// where there is none.
func (l *Loop) firstChampion(ctx context.Context, now time.Time) (int64, error) {
	alias, err := l.registry(now).Alias(ctx, l.config.Model, registry.Champion)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return alias.Version, err
	}
	history, err := l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
	if err != nil {
		return 0, err
	}
	r := Retraining{Model: l.config.Model, Stage: Fitting, StartedAt: now, StageSince: now, Causes: []Cause{{Trigger: "first", Detail: "there is no champion"}}}
	if n := len(history); n > 0 {
		if last := history[n-1]; !last.Stage.Final() {
			r = last // a life before this one began it
		} else if reason, ok := l.config.Policy.permits(now, history, l.memory.ResumedAt); !ok {
			return 0, fault.Errorf(fault.Conflict, "there is no champion yet, and no fit may begin: %s", reason)
		} else {
			r.Number = last.Number + 1
		}
	}
	r.ID = fmt.Sprintf("%s/%d", l.config.Model, r.Number)
	if err := l.config.Stores.Retrain.PutRetraining(ctx, r); err != nil {
		return 0, err
	}
	out, err := l.runFit(ctx, r)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			r.Error = err.Error()
			err = errors.Join(fmt.Errorf("the first fit failed: %w", err), l.enter(ctx, now, r, Failed, 0, r.Error))
		}
		return 0, err
	}
	r.take(out)
	return r.Version, l.enter(ctx, r.StartedAt, r, Promoted, 0, "the first fit")
}

// followAlias makes the server answer with the version that the champion alias
// names when a person has moved it.
func (l *Loop) followAlias(ctx context.Context, champion int64) error {
	route, err := l.server.Route(ctx, l.config.Model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if route.Primary == champion {
		return nil
	}
	return l.setRoute(ctx, serve.Route{Model: l.config.Model, Primary: champion})
}

// consider starts a retraining when a trigger wants one and the policy permits.
func (l *Loop) consider(ctx context.Context, now time.Time, history []Retraining) error {
	causes, err := l.causes(ctx, now, history)
	if err != nil || len(causes) == 0 {
		return err
	}
	if reason, ok := l.config.Policy.permits(now, history, l.memory.ResumedAt); !ok {
		return l.suppress(ctx, now, causes, reason, history)
	}
	last := history[len(history)-1]
	r := Retraining{
		ID: fmt.Sprintf("%s/%d", l.config.Model, last.Number+1), Model: l.config.Model, Number: last.Number + 1,
		Causes: causes, Stage: Fitting, Champion: l.watcher.checkpoint.Version, StartedAt: now, StageSince: now,
		LabelSeq: l.watcher.checkpoint.LabelSeq,
	}
	l.memory.Manual, l.memory.Suppressed = "", ""
	if err := l.config.Stores.Retrain.PutRetraining(ctx, r); err != nil {
		return err
	}
	return l.advance(ctx, now, r)
}

func (l *Loop) causes(ctx context.Context, now time.Time, history []Retraining) ([]Cause, error) {
	alerts, err := l.config.Stores.Drift.Alerts(ctx, l.config.Model, true)
	if err != nil {
		return nil, err
	}
	s := Situation{Now: now, Alerts: alerts, LastStart: history[len(history)-1].StartedAt, Live: l.watcher.live()}
	s.Baseline = originOf(history, l.watcher.checkpoint.Version).Holdout
	var causes []Cause
	if l.memory.Manual != "" {
		causes = append(causes, Cause{Trigger: "manual", Detail: l.memory.Manual})
	}
	for _, t := range l.config.Triggers {
		cause, err := t.Wanted(s)
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
	kind := "trigger.suppressed"
	if l.config.Policy.stopped(history, l.memory.ResumedAt) {
		kind = "stopped"
	}
	key := fmt.Sprintf("%s/%s/%s", last.ID, kind, causes[0].Trigger)
	if l.memory.Suppressed == key {
		return nil
	}
	l.memory.Suppressed = key
	return l.report(ctx, Event{Time: now, Kind: kind, Key: key, Text: fmt.Sprintf("%s wanted: %s", causes[0].Trigger, reason)})
}

// advance moves the retraining on as far as it can come at now.
func (l *Loop) advance(ctx context.Context, now time.Time, r Retraining) error {
	switch r.Stage {
	case Fitting:
		return l.advanceFit(ctx, now, r)
	case Shadowing:
		return l.advanceShadow(ctx, now, r)
	case Canarying:
		return l.advanceCanary(ctx, now, r)
	}
	return nil
}

func (l *Loop) advanceFit(ctx context.Context, now time.Time, r Retraining) error {
	if err := l.report(ctx, Event{Time: r.StartedAt, Kind: "retrain.started", Key: r.ID + "/started", Text: describeStart(r)}); err != nil {
		return err
	}
	out, err := l.runFit(ctx, r)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return err // stopped, not failed: the workflow resumes
		}
		r.Error = err.Error()
		return l.enter(ctx, now, r, Failed, 0, r.Error)
	}
	r.take(out)
	for i, v := range out.Verdicts {
		if err := l.reportVerdict(ctx, now, "gate", fmt.Sprintf("%s/gate/%d", r.ID, i), v); err != nil {
			return err
		}
	}
	switch {
	case !passed(out.Verdicts):
		return l.enter(ctx, now, r, Rejected, 0, "a gate said no")
	case l.config.Rollout.Shadow > 0:
		return l.enter(ctx, now, r, Shadowing, 0, "the gates passed")
	}
	return l.afterShadow(ctx, now, r, "the gates passed")
}

// take notes what a fit came to.
func (r *Retraining) take(out fitOutput) {
	r.RunID, r.Version, r.Verdicts = out.RunID, out.Version, out.Verdicts
	r.Holdout, r.Errors = out.Holdout.Metrics, out.Holdout.Errors
}

func describeStart(r Retraining) string {
	var causes []string
	for _, c := range r.Causes {
		causes = append(causes, c.Trigger+" ("+c.Detail+")")
	}
	return fmt.Sprintf("retraining %s against version %d: %s", r.ID, r.Champion, strings.Join(causes, "; "))
}

func (l *Loop) runFit(ctx context.Context, r Retraining) (fitOutput, error) {
	var out fitOutput
	input, err := json.Marshal(fitInput{ID: r.ID, Number: r.Number, Now: r.StartedAt, Champion: r.Champion})
	if err != nil {
		return out, err
	}
	raw, err := l.config.Stores.Engine.Run(ctx, fitWorkflow, r.ID, input)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(raw, &out)
}

func (l *Loop) reportVerdict(ctx context.Context, now time.Time, kind, key string, v Verdict) error {
	word := "fails"
	if v.Pass {
		word = "passes"
	}
	return l.report(ctx, Event{Time: now, Kind: kind, Key: key, Text: fmt.Sprintf("%s %s: %s", v.Gate, word, v.Reason)})
}
