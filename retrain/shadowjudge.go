package retrain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/train/metric"
)

// judgeShadow compares the challenger with the champion on the live rows that
// both answered and whose labels are known. It looks when the stage's time is
// over and enough have come, then each time as many again, and once at the end
// of its patience: each look takes a part of the level, so that looking often
// lets no worse challenger through.
func (l *Loop) judgeShadow(_ context.Context, now time.Time) (v *Verdict, overdue bool, err error) {
	a, w := l.memory.Attempt, l.watcher
	rollout := l.config.Rollout
	if w == nil || w.shadow == nil {
		return nil, false, nil
	}
	s := w.shadow
	if v := s.failing(rollout.FailureMargin); v != nil && v.Outcome == Fail {
		return v, false, nil
	}
	if now.Before(a.Retraining.StageSince.Add(rollout.Shadow)) {
		return nil, false, nil
	}
	overdue = !now.Before(a.Retraining.StageSince.Add(l.patience(rollout.Shadow)))
	verdict := Verdict{Gate: fmt.Sprintf("shadow: non-inferior: %s by %g %%", rollout.Metric, 100*rollout.Margin), Metric: rollout.Metric, Outcome: Undetermined, N: s.paired}
	if s.paired < l.minLabels() {
		l.memory.wait("judge", fmt.Sprintf("the shadow of %s has %d of at least %d labelled rows", a.Retraining.ID, s.paired, l.minLabels()))
		verdict.Needed = l.minLabels()
		verdict.Reason = fmt.Sprintf("%d live rows were answered by both and labelled, %d are wanted: the shadow answered %d and failed on %d (Rollout.Inconclusive: %s)", s.paired, l.minLabels(), s.answered, s.failed, rollout.Inconclusive)
		return &verdict, overdue, nil
	}
	if v := s.failing(rollout.FailureMargin); v != nil {
		l.memory.wait("judge", v.Reason)
		return v, overdue, nil
	}
	if a.Planned > 0 && !overdue && l.awaitsRows(a, s) {
		return nil, false, nil // and no row is read for it
	}
	champion, challenger := s.scores()
	margin, err := judge.Relative(rollout.Metric, champion, rollout.Margin)
	if err == nil && a.Planned == 0 {
		a.Planned, err = l.planShadow(champion, challenger, margin)
	}
	if err == nil && !overdue && l.awaitsRows(a, s) {
		return nil, false, nil
	}
	var j judge.Judgement
	if err == nil {
		a.Looks++
		j, err = judge.NonInferior(rollout.Metric, challenger, champion, margin, &judge.Options{Alpha: shadowAlpha / math.Pow(2, float64(a.Looks))})
	}
	switch {
	case err == nil:
		verdict = verdictOf(verdict.Gate, j)
	case errors.Is(err, ErrInvalid): // such as an AUC of one class
		verdict.Reason, err = err.Error(), nil
	}
	if verdict.Outcome == Undetermined {
		verdict.Reason += fmt.Sprintf(" (Rollout.Inconclusive: %s)", rollout.Inconclusive)
	}
	return &verdict, overdue, err
}

// failing is the verdict on a shadow that fails on more of the rows than the
// margin, nil on one that does not: rows that it did not answer are in no
// comparison, and would hide what it does not know.
func (s *shadowWatch) failing(margin float64) *Verdict {
	n := s.answered + s.failed
	if float64(s.failed) <= margin*float64(n) {
		return nil
	}
	v := Verdict{Gate: "shadow: calls that fail", Outcome: Undetermined, N: n, Diff: float64(s.failed) / float64(n)}
	w := s.failures.Judge()
	v.Low, v.High = w.Low, w.High
	v.Reason = fmt.Sprintf("the shadow failed on %d of the %d rows that it was asked about, and is not judged by the others while that is more than Rollout.FailureMargin, %g %%", s.failed, n, 100*margin)
	if w.Outcome == Fail {
		v.Outcome = Fail
		v.Reason = fmt.Sprintf("the shadow failed on %d of the %d rows that it was asked about: more than Rollout.FailureMargin, %g %%, is shown", s.failed, n, 100*margin)
	}
	return &v
}

// awaitsRows reports, and notes, that the shadow has not the rows of its next look.
func (l *Loop) awaitsRows(a *attempt, s *shadowWatch) bool {
	wanted := a.Planned << min(a.Looks, 20)
	if s.paired < wanted {
		l.memory.wait("judge", fmt.Sprintf("the shadow of %s has %d of %d labelled rows", a.Retraining.ID, s.paired, wanted))
	}
	return s.paired < wanted
}

// planShadow is the number of labelled rows for the first look: MinLabels, or as
// many as show a difference of the margin with a power of 0.8, by the variance of
// the rows that are there. It takes no part of the level: it looks at no mean.
func (l *Loop) planShadow(champion, challenger metric.Scores, margin float64) (int, error) {
	if n := l.config.Rollout.MinLabels; n > 0 {
		return n, nil
	}
	if !(margin > 0) {
		return leastLabels, nil
	}
	n, err := judge.RowsFromPilot(l.config.Rollout.Metric, challenger, champion, margin, &judge.Options{Alpha: shadowAlpha / 2})
	return min(max(n, leastLabels), maxPairs/2), err // the oldest half may have been forgotten
}

// shadowAlpha is the level of all looks at a shadow together.
const shadowAlpha = 0.05

// patience is how long a stage of the planned time waits for its labels.
func (l *Loop) patience(planned time.Duration) time.Duration {
	wait := l.config.Rollout.Patience * float64(planned+l.config.LabelDelay)
	return time.Duration(min(wait, float64(longestWait)))
}

// longestWait is what a time.Duration and a date can hold.
const longestWait = 100 * 365 * 24 * time.Hour

// minLabels is how many labelled rows a rollout is judged on at least.
func (l *Loop) minLabels() int {
	if n := l.config.Rollout.MinLabels; n > 0 {
		return n
	}
	return leastLabels
}
