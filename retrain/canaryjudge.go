package retrain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// judgeCanary says what is shown of the canary by now. Harm, by failed calls,
// slow ones or labels, is looked for at every step; the stage's own verdict comes
// once its time is over, and for the last weight once enough labels have come.
func (l *Loop) judgeCanary(_ context.Context, now time.Time) (harm, v *Verdict, overdue bool, err error) {
	a, w := l.memory.Attempt, l.watcher
	if w == nil || w.canary == nil {
		return nil, nil, false, nil
	}
	c, r, rollout := w.canary, a.Retraining, l.terms.Rollout
	gate := l.canaryGate(r)
	if harm = c.harm(gate); harm != nil || now.Before(r.StageSince.Add(rollout.Bake)) {
		return harm, nil, false, nil
	}
	verdict := Verdict{Gate: gate + ": no harm", Metric: c.Metric, Outcome: Undetermined, N: c.Labels, Needed: l.terms.minLabels(), Reason: c.describe()}
	overdue = !now.Before(r.StageSince.Add(l.terms.patience(rollout.Bake)))
	if why := c.against(); why != "" && overdue {
		verdict.Outcome, verdict.Reason = Fail, why
		return nil, &verdict, true, nil
	}
	if !rollout.last(r.Weight) {
		if c.Answered > 0 {
			return nil, &verdict, false, nil
		}
		l.memory.wait("judge", fmt.Sprintf("no call has come to the canary of %s at %g %%", r.ID, 100*rollout.weight(r.Weight)))
		if !overdue {
			return nil, nil, false, nil // silence is no pass
		}
		verdict.Reason += fmt.Sprintf(": no call came to it (Rollout.Inconclusive: %s)", rollout.Inconclusive)
		return nil, &verdict, true, nil
	}
	if now.Before(r.StageSince.Add(rollout.Bake+l.terms.LabelDelay)) && !overdue {
		return nil, nil, false, nil
	}
	switch {
	case c.Labels < l.terms.minLabels():
		verdict.Reason += fmt.Sprintf(": %d labels are wanted (Rollout.Inconclusive: %s)", l.terms.minLabels(), rollout.Inconclusive)
	case c.suspicion() != "":
		verdict.Reason += ": " + c.suspicion()
	case c.Losses != nil && (shadowPassed(r) || c.Losses.Judge().Outcome == Pass):
		verdict.Outcome = Pass
	default:
		verdict.Reason += ": without a shadow that passed, that there is no harm has to be shown"
	}
	return nil, &verdict, overdue, nil
}

// tellHarm tells, once a pause, of harm that a canary does while the loop is
// paused: it is a person who has to take it back.
func (l *Loop) tellHarm(ctx context.Context, now time.Time) error {
	a, w := l.memory.Attempt, l.watcher
	if a.Retraining.Stage != Canarying || w == nil || w.canary == nil {
		return nil
	}
	harm := w.canary.harm(l.canaryGate(a.Retraining))
	if harm == nil {
		return nil
	}
	return l.tell(ctx, now, topicHarm, EventHarm, "the canary, version %d, does harm and answers on, because the loop is paused: call RollBack, or Unpause: %s", a.Retraining.Version, harm.Reason)
}

const topicHarm = "harm"

func (l *Loop) canaryGate(r Retraining) string {
	return fmt.Sprintf("canary %g %%", 100*l.terms.Rollout.weight(r.Weight))
}

// shadowPassed reports whether the challenger was judged in shadow before.
func shadowPassed(r Retraining) bool {
	return slices.ContainsFunc(r.Verdicts, func(v Verdict) bool {
		return v.Outcome == Pass && strings.HasPrefix(v.Gate, "shadow")
	})
}

func (c *canaryWatch) harm(gate string) *Verdict {
	watches := c.watches()
	if c.Losses != nil {
		watches = append(watches, c.Losses.Judge())
	}
	return harmOf(gate, watches)
}

func (c *canaryWatch) describe() string {
	text := fmt.Sprintf("%d calls answered, %d failed, %d labelled", c.Answered, c.Failed, c.Labels)
	if c.Losses != nil && c.Labels > 0 {
		j := c.Losses.Judge()
		text += fmt.Sprintf(", %s differs by %+.4f [%+.4f, %+.4f]", c.Metric, j.Diff, j.Low, j.High)
	}
	return text
}
