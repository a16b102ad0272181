package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
)

// advanceShadow judges the shadow once its time is over and the labels of that
// time have come.
func (l *Loop) advanceShadow(ctx context.Context, now time.Time, r Retraining) error {
	if now.Before(r.StageSince.Add(l.config.Rollout.Shadow + l.config.LabelDelay)) {
		return nil
	}
	v, err := l.judgeShadow(ctx, r)
	if err != nil {
		return err
	}
	r.Verdicts = append(r.Verdicts, v)
	if err := l.reportVerdict(ctx, now, "shadow", r.ID+"/shadow", v); err != nil {
		return err
	}
	if !v.Pass {
		return l.enter(ctx, now, r, Rejected, 0, v.Reason)
	}
	return l.afterShadow(ctx, now, r, v.Reason)
}

func (l *Loop) afterShadow(ctx context.Context, now time.Time, r Retraining, reason string) error {
	if len(l.config.Rollout.Shares) == 0 {
		return l.enter(ctx, now, r, Promoted, 0, reason)
	}
	return l.enter(ctx, now, r, Canarying, 0, reason)
}

// judgeShadow compares the challenger with the champion on the live rows that
// both answered and whose labels are known.
func (l *Loop) judgeShadow(ctx context.Context, r Retraining) (Verdict, error) {
	rollout := l.config.Rollout
	gate := fmt.Sprintf("shadow: not worse: %s by %g", rollout.Metric, rollout.Margin)
	pairs := newPairing(l.watcher)
	err := l.eachLabel(ctx, r.LabelSeq, func(p serve.LabelledPrediction) {
		if !p.Time.Before(r.StageSince) {
			pairs.add(p, p.Variant == serve.Shadow && p.Version == r.Version, p.Variant != serve.Shadow && p.Version == r.Champion)
		}
	})
	if err != nil {
		return Verdict{}, err
	}
	champion, challenger, blocks := pairs.paired()
	if len(challenger.Labels) == 0 {
		return Verdict{Gate: gate, Metric: rollout.Metric, Reason: "no live row was answered by both and labelled: no data is no pass"}, nil
	}
	v, err := comparePaired(gate, rollout.Metric, rollout.Margin, champion, challenger, blocks, l.config.Seed)
	if err != nil { // such as AUC on rows of one class: not judged is not passed
		return Verdict{Gate: gate, Metric: rollout.Metric, Reason: err.Error()}, nil
	}
	return v, nil
}

// advanceCanary judges a share once its time is over: on to the next share,
// promotion after the last, roll-back where harm is shown.
func (l *Loop) advanceCanary(ctx context.Context, now time.Time, r Retraining) error {
	if now.Before(r.StageSince.Add(l.config.Rollout.Bake)) {
		return nil
	}
	v, err := l.judgeCanary(ctx, r)
	if err != nil {
		return err
	}
	r.Verdicts = append(r.Verdicts, v)
	if err := l.reportVerdict(ctx, now, "canary", fmt.Sprintf("%s/canary/%d/verdict", r.ID, r.Step), v); err != nil {
		return err
	}
	switch {
	case !v.Pass:
		return l.enter(ctx, now, r, RolledBack, 0, v.Reason)
	case r.Step+1 < len(l.config.Rollout.Shares):
		return l.enter(ctx, now, r, Canarying, r.Step+1, v.Reason)
	}
	return l.enter(ctx, now, r, Promoted, 0, v.Reason)
}

// judgeCanary looks for harm: answers that stay away, and a metric that is
// worse than the champion's by more than Harm with its whole interval. The two
// answered different rows, so the difference of independent samples is judged.
func (l *Loop) judgeCanary(ctx context.Context, r Retraining) (Verdict, error) {
	rollout := l.config.Rollout
	v := Verdict{Gate: fmt.Sprintf("canary %g: no harm: %s by %g", rollout.Shares[r.Step], rollout.Metric, rollout.Harm), Metric: rollout.Metric}
	answered, err := l.canaryAnswers(ctx, r)
	if err != nil {
		return v, err
	}
	if answered == 0 {
		v.Reason = "the canary gave no answer: no data is no pass"
		return v, nil
	}
	sides := newPairing(l.watcher)
	err = l.eachLabel(ctx, r.LabelSeq, func(p serve.LabelledPrediction) {
		if !p.Time.Before(r.StageSince) {
			sides.add(p, p.Variant == serve.Canary && p.Version == r.Version, p.Variant == serve.Primary && p.Version == r.Champion)
		}
	})
	if err != nil {
		return v, err
	}
	champion, challenger := sides.all()
	v.N = len(challenger.Labels)
	d, higherBetter, err := independentDifference(rollout.Metric, challenger, champion)
	if v.N == 0 {
		v.Pass, v.Reason = true, fmt.Sprintf("%d answers, none labelled yet: no harm is shown", answered)
		return v, nil
	}
	if err != nil { // such as an AUC of one class: harm is not shown
		v.Pass, v.Reason = true, fmt.Sprintf("%d answers, no harm is shown: %v", answered, err)
		return v, nil
	}
	v.Diff, v.Low, v.High = d.Value, d.Low, d.High
	harmed := d.High < -rollout.Harm
	if !higherBetter {
		harmed = d.Low > rollout.Harm
	}
	v.Pass = !harmed
	v.Reason = fmt.Sprintf("%d answers, %s differs by %+.4f [%+.4f, %+.4f] on %d labelled ones", answered, rollout.Metric, d.Value, d.Low, d.High, v.N)
	return v, nil
}

// canaryAnswers counts the canary's answers of this stage.
func (l *Loop) canaryAnswers(ctx context.Context, r Retraining) (int, error) {
	n := 0
	err := l.eachPrediction(ctx, r.PredictionSeq, func(p serve.Prediction) {
		if p.Variant == serve.Canary && p.Version == r.Version {
			n++
		}
	})
	return n, err
}

// rolloutWorkflow is the name under which Loop registers rollOut.
const rolloutWorkflow = "mlloop.rollout"

// rolloutInput is the recorded input of one move to a stage.
type rolloutInput struct {
	Next   Retraining `json:"next"`
	Reason string     `json:"reason"`
	Now    time.Time  `json:"now"`
	Share  float64    `json:"share"`
}

// enter moves the retraining to a stage, durably: what is served, the
// registry's alias and states, and the retraining's record change in one
// workflow, whose steps are safe to repeat.
func (l *Loop) enter(ctx context.Context, now time.Time, r Retraining, stage Stage, step int, reason string) error {
	r.Stage, r.Step, r.StageSince = stage, step, now
	if stage.Final() {
		r.EndedAt = now
	}
	in := rolloutInput{Next: r, Reason: reason, Now: now}
	if stage == Canarying {
		in.Share = l.config.Rollout.Shares[step]
	}
	if l.watcher != nil {
		in.Next.LabelSeq, in.Next.PredictionSeq = l.watcher.checkpoint.LabelSeq, l.watcher.checkpoint.PredictionSeq
	}
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = l.config.Stores.Engine.Run(ctx, rolloutWorkflow, fmt.Sprintf("%s/%s/%d", r.ID, stage, step), input)
	return err
}

// rollOut is the workflow route → registry → record.
func (l *Loop) rollOut(ctx context.Context, steps Steps, input []byte) ([]byte, error) {
	var in rolloutInput
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name string
		do   func(context.Context, rolloutInput) error
	}{{"route", l.route}, {"registry", l.moveAlias}, {"record", l.record}} {
		_, err := step(ctx, steps, s.name, func(ctx context.Context) (bool, error) { return true, s.do(ctx, in) })
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// route makes the server answer as the stage says. Before a promotion it is
// the alias that tells the primary, so that a person's move of it holds.
func (l *Loop) route(ctx context.Context, in rolloutInput) error {
	r := in.Next
	want := serve.Route{Model: l.config.Model, Salt: r.ID}
	switch r.Stage {
	case Shadowing:
		want.Shadow = r.Version
	case Canarying:
		want.Canary, want.Share = r.Version, in.Share
	case Promoted:
		want.Primary = r.Version
	}
	if want.Primary == 0 {
		alias, err := l.registry(in.Now).Alias(ctx, l.config.Model, registry.Champion)
		if errors.Is(err, ErrNotFound) {
			return nil // a first fit that failed: nothing is served
		}
		if err != nil {
			return err
		}
		want.Primary = alias.Version
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
func (l *Loop) moveAlias(ctx context.Context, in rolloutInput) error {
	r := in.Next
	models := l.registry(in.Now)
	change := registry.Change{Reason: fmt.Sprintf("retraining %s: %s", r.ID, in.Reason)}
	switch r.Stage {
	case Promoted:
		if err := l.setState(ctx, models, r.Version, registry.Approved, change); err != nil {
			return err
		}
		return models.Promote(ctx, l.config.Model, r.Version, r.Champion, change)
	case Rejected, RolledBack:
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

func (l *Loop) record(ctx context.Context, in rolloutInput) error {
	r := in.Next
	if err := l.config.Stores.Retrain.PutRetraining(ctx, r); err != nil {
		return err
	}
	return l.report(ctx, Event{
		Time: in.Now, Kind: string(r.Stage), Text: describeStage(r, in),
		Key: fmt.Sprintf("%s/%s/%d", r.ID, r.Stage, r.Step),
	})
}

func describeStage(r Retraining, in rolloutInput) string {
	switch r.Stage {
	case Shadowing:
		return fmt.Sprintf("version %d runs in the shadow of version %d", r.Version, r.Champion)
	case Canarying:
		return fmt.Sprintf("version %d answers %g %% of the keys", r.Version, 100*in.Share)
	case Promoted:
		return fmt.Sprintf("version %d is the champion: %s", r.Version, in.Reason)
	case RolledBack:
		return fmt.Sprintf("version %d is rolled back, version %d answers all: %s", r.Version, r.Champion, in.Reason)
	}
	return fmt.Sprintf("retraining %s is %s: %s", r.ID, r.Stage, in.Reason)
}
