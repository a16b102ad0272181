package retrain

import (
	"context"
	"fmt"
	"time"

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
	t := transition{Next: r.in(Rejected, 0), Reason: v.Reason, Events: []Event{verdictEvent(EventShadow, r.ID+"/shadow", v)}}
	if v.Pass {
		t.Next = r.in(l.afterShadow(), 0)
	}
	return l.apply(ctx, now, t)
}

func (l *Loop) afterShadow() Stage {
	if len(l.config.Rollout.Shares) == 0 {
		return Promoted
	}
	return Canarying
}

// judgeShadow compares the challenger with the champion on the live rows that
// both answered and whose labels are known. Not judged is not passed.
func (l *Loop) judgeShadow(ctx context.Context, r Retraining) (Verdict, error) {
	rollout := l.config.Rollout
	v := Verdict{Gate: fmt.Sprintf("shadow: not worse: %s by %g", rollout.Metric, rollout.Margin), Metric: rollout.Metric}
	pairs, err := l.liveAnswers(ctx, r, func(p serve.LabelledPrediction) bool { return p.Variant == serve.Shadow })
	if err != nil {
		return v, err
	}
	champion, challenger, blocks := pairs.paired()
	if v.N = len(challenger.Labels); v.N < rollout.MinLabels {
		v.Reason = fmt.Sprintf("%d live rows were answered by both and labelled, %d are wanted: lengthen Rollout.Shadow or lower Rollout.MinLabels", v.N, rollout.MinLabels)
		return v, nil
	}
	judged, err := comparePaired(v.Gate, rollout.Metric, rollout.Margin, champion, challenger, blocks, l.config.Seed)
	if err != nil { // such as AUC on rows of one class
		v.Reason = err.Error()
		return v, nil
	}
	return judged, nil
}
