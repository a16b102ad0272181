package retrain

import (
	"context"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/serve"
)

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
	t := transition{Reason: v.Reason, Events: []Event{verdictEvent(EventCanary, fmt.Sprintf("%s/canary/%d/verdict", r.ID, r.Step), v)}}
	r.Verdicts = append(r.Verdicts, v)
	switch {
	case !v.Pass:
		t.Next = r.in(RolledBack, 0)
	case r.Step+1 < len(l.config.Rollout.Shares):
		t.Next = r.in(Canarying, r.Step+1)
	default:
		t.Next = r.in(Promoted, 0)
	}
	return l.apply(ctx, now, t)
}

// judgeCanary looks for harm: answers that stay away, and a metric that is
// worse than the champion's by more than Harm with its whole interval. The two
// answered different rows, so the difference of independent samples is judged.
func (l *Loop) judgeCanary(ctx context.Context, r Retraining) (Verdict, error) {
	rollout := l.config.Rollout
	v := Verdict{Gate: fmt.Sprintf("canary %g: no harm: %s by %g", rollout.share(r.Step), rollout.Metric, rollout.Harm), Metric: rollout.Metric}
	answered, err := l.canaryAnswers(ctx, r)
	if err != nil {
		return v, err
	}
	if answered == 0 {
		v.Reason = "the canary gave no answer: no data is no pass"
		return v, nil
	}
	sides, err := l.liveAnswers(ctx, r, func(p serve.LabelledPrediction) bool { return p.Variant == serve.Canary })
	if err != nil {
		return v, err
	}
	champion, challenger := sides.all()
	v.Pass, v.N = true, len(challenger.Labels)
	if v.N == 0 {
		v.Reason = fmt.Sprintf("%d answers, none labelled yet: no harm is shown", answered)
		return v, nil
	}
	d, higherBetter, err := independentDifference(rollout.Metric, challenger, champion)
	if err != nil { // such as an AUC of one class
		v.Reason = fmt.Sprintf("%d answers, no harm is shown: %v", answered, err)
		return v, nil
	}
	v.Diff, v.Low, v.High = d.Value, d.Low, d.High
	v.Pass = d.High >= -rollout.Harm
	if !higherBetter {
		v.Pass = d.Low <= rollout.Harm
	}
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
