package retrain

import (
	"fmt"
	"time"

	"github.com/adhocore/gronx"

	"github.com/mlloop/mlloop/train/metric"
)

// Waiter is a Trigger that can say what it waits for: Status shows it. Those of
// this package are Waiters.
type Waiter interface {
	// Waits says in a few words, with numbers, when it would want a retraining. A
	// panic counts as an error.
	Waits(s Situation) string
}

// waits asks every trigger what it waits for, in their order.
func (l *Loop) waits(now time.Time, champion int64) []string {
	if champion == 0 {
		return nil // the first fit waits for none of them
	}
	s := l.situation(now, champion)
	texts := make([]string, len(l.config.Triggers))
	for i, t := range l.config.Triggers {
		w, ok := t.(Waiter)
		if !ok {
			texts[i] = fmt.Sprintf("Triggers[%d] (%T) does not say what it waits for", i, t)
			continue
		}
		if err := safely(func() error { texts[i] = w.Waits(s); return nil }); err != nil {
			texts[i] = fmt.Sprintf("Triggers[%d] cannot say what it waits for: %v", i, err)
		}
	}
	return texts
}

// Waits implements Waiter.
func (onDrift) Waits(s Situation) string {
	if n := len(s.Alerts); n > 0 {
		return fmt.Sprintf("drift: wanted, alerts firing: %d", n)
	}
	return "drift: no alert is firing"
}

// Waits implements Waiter.
func (t onDecay) Waits(s Situation) string {
	name := fmt.Sprintf("decay of %s by %g", t.metric, t.drop)
	baseline, ok := s.Baseline[t.metric]
	switch n := len(s.Live.Labels); {
	case !ok:
		return fmt.Sprintf("%s: no %s of the champion is on record to compare with", name, t.metric)
	case n < minDecayLabels:
		return fmt.Sprintf("%s: %d labels, of %d that it needs", name, n, minDecayLabels)
	}
	m, err := metric.ByName(t.metric)
	if err != nil {
		return fmt.Sprintf("%s: %v", name, err)
	}
	live, err := m.Evaluate(s.Live, nil)
	if err != nil {
		return fmt.Sprintf("%s: %v", name, err)
	}
	side, bound, limit := "below", live.High, baseline-t.drop
	if !m.HigherBetter {
		side, bound, limit = "above", live.Low, baseline+t.drop
	}
	return fmt.Sprintf("%s: wanted when %.3f, the favourable end of the interval on the last %d labels, is %s %.3f", name, bound, live.N, side, limit)
}

// Waits implements Waiter.
func (t every) Waits(s Situation) string {
	return fmt.Sprintf("every %s: %s", time.Duration(t), nextAt(s.Now, s.LastStart.Add(time.Duration(t))))
}

// Waits implements Waiter.
func (t cron) Waits(s Situation) string {
	next, err := gronx.NextTickAfter(string(t), s.LastStart.UTC(), false)
	if err != nil {
		return fmt.Sprintf("cron %s: %v", string(t), err)
	}
	return fmt.Sprintf("cron %s: %s", string(t), nextAt(s.Now, next))
}

func nextAt(now, next time.Time) string {
	if now.Before(next) {
		return "next at " + next.UTC().Format(time.RFC3339)
	}
	return "due since " + next.UTC().Format(time.RFC3339)
}
