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
// lets no worse challenger through. Calls that fail or are slow are harm of their
// own, looked for at every step: rows without an answer are in no comparison.
func (l *Loop) judgeShadow(_ context.Context, now time.Time) (v *Verdict, overdue bool, err error) {
	a, w, rollout := l.memory.Attempt, l.watcher, l.terms.Rollout
	if w == nil || w.shadow == nil {
		return nil, false, nil
	}
	s := w.shadow
	if harm := harmOf("shadow", s.watches()); harm != nil || now.Before(a.Retraining.StageSince.Add(rollout.Shadow)) {
		return harm, false, nil
	}
	overdue = !now.Before(a.Retraining.StageSince.Add(l.terms.patience(rollout.Shadow)))
	verdict := Verdict{Gate: fmt.Sprintf("shadow: non-inferior: %s by %g %%", rollout.Metric, 100*rollout.Margin), Metric: rollout.Metric, Outcome: Undetermined, N: s.paired}
	if l.withheld(a, s, overdue, &verdict) {
		return &verdict, overdue, nil
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

// withheld reports that the shadow is not compared yet, and why.
func (l *Loop) withheld(a *attempt, s *shadowWatch, overdue bool, v *Verdict) bool {
	why := s.suspicion()
	if s.paired < l.terms.minLabels() {
		why = fmt.Sprintf("%d live rows were answered by both and labelled, %d are wanted: the shadow answered %d calls and failed on %d", s.paired, l.terms.minLabels(), s.Answered, s.Failed)
	}
	if why == "" {
		return false
	}
	l.memory.wait("judge", fmt.Sprintf("the shadow of %s is not judged yet: %s", a.Retraining.ID, why))
	v.Needed, v.Reason = l.terms.minLabels(), fmt.Sprintf("%s (Rollout.Inconclusive: %s)", why, l.terms.Rollout.Inconclusive)
	if against := s.against(); against != "" && overdue {
		v.Outcome, v.Reason = Fail, against
	}
	return true
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
	if n := l.terms.Rollout.MinLabels; n > 0 {
		return n, nil
	}
	if !(margin > 0) {
		return leastLabels, nil
	}
	n, err := judge.RowsFromPilot(l.terms.Rollout.Metric, challenger, champion, margin, &judge.Options{Alpha: shadowAlpha / 2})
	return min(max(n, leastLabels), maxPairs/2), err // the oldest half may have been forgotten
}

// shadowAlpha is the level of all looks at a shadow together.
const shadowAlpha = 0.05

// patience is how long a stage of the planned time waits for its labels.
func (t terms) patience(planned time.Duration) time.Duration {
	wait := t.Rollout.Patience * float64(planned+t.LabelDelay)
	return time.Duration(min(wait, float64(longestWait)))
}

// longestWait is what a time.Duration and a date can hold.
const longestWait = 100 * 365 * 24 * time.Hour

// minLabels is how many labelled rows a rollout is judged on at least.
func (t terms) minLabels() int {
	if n := t.Rollout.MinLabels; n > 0 {
		return n
	}
	return leastLabels
}
