package retrain

import (
	"fmt"
	"strings"
	"time"

	"github.com/adhocore/gronx"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/metric"
)

// Situation is what triggers look at.
type Situation struct {
	Now       time.Time
	Alerts    []drift.Alert // firing now
	LastStart time.Time     // of the last retraining; the first fit's before there was one
	// Live holds the champion's latest labelled answers, oldest first, and
	// Baseline its metrics on the rows that it was judged on before promotion.
	Live     metric.Scores
	Baseline map[string]float64
}

// Trigger says when a retraining is wanted. Implementations are safe for
// concurrent use and depend on the situation alone.
type Trigger interface {
	// Wanted returns the cause, or nil. An error is reported and wants nothing.
	Wanted(s Situation) (*Cause, error)
}

// TriggerFunc makes a function a Trigger.
type TriggerFunc func(s Situation) (*Cause, error)

// Wanted implements Trigger.
func (f TriggerFunc) Wanted(s Situation) (*Cause, error) { return f(s) }

// OnDrift wants a retraining while a drift alert is firing.
func OnDrift() Trigger {
	return TriggerFunc(func(s Situation) (*Cause, error) {
		if len(s.Alerts) == 0 {
			return nil, nil
		}
		a := s.Alerts[len(s.Alerts)-1]
		return &Cause{Trigger: "drift", Detail: a.Source + ": " + strings.Join(columnNames(a), ", "), AlertID: a.ID}, nil
	})
}

func columnNames(a drift.Alert) []string {
	names := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		names[i] = c.Column
	}
	return names
}

// minDecayLabels is the least number of labels on which OnDecay says anything.
const minDecayLabels = 100

// OnDecay wants a retraining when the named metric of the champion's latest
// labelled answers is worse than on the rows that it was judged on before, by
// more than drop even at the favourable end of its interval.
func OnDecay(name string, drop float64) Trigger {
	return TriggerFunc(func(s Situation) (*Cause, error) {
		baseline, ok := s.Baseline[name]
		if !ok || len(s.Live.Labels) < minDecayLabels {
			return nil, nil
		}
		m, err := metric.ByName(name)
		if err != nil {
			return nil, err
		}
		live, err := m.Evaluate(s.Live, nil)
		if err != nil {
			return nil, fmt.Errorf("decay of %s: %w", name, err)
		}
		decayed := live.High < baseline-drop
		if !m.HigherBetter {
			decayed = live.Low > baseline+drop
		}
		if !decayed {
			return nil, nil
		}
		return &Cause{Trigger: "decay", Detail: fmt.Sprintf("%s %.3f [%.3f, %.3f] on the last %d labels, %.3f before",
			name, live.Value, live.Low, live.High, live.N, baseline)}, nil
	})
}

// Every wants a retraining when the last one began d ago.
func Every(d time.Duration) Trigger {
	return TriggerFunc(func(s Situation) (*Cause, error) {
		if s.Now.Sub(s.LastStart) < d {
			return nil, nil
		}
		return &Cause{Trigger: "schedule", Detail: "every " + d.String()}, nil
	})
}

// Cron wants a retraining when the crontab expression (five fields, UTC) has
// come due since the last one began.
func Cron(expression string) Trigger {
	return TriggerFunc(func(s Situation) (*Cause, error) {
		next, err := gronx.NextTickAfter(expression, s.LastStart.UTC(), false)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "cron %q: %w", expression, err)
		}
		if s.Now.Before(next) {
			return nil, nil
		}
		return &Cause{Trigger: "schedule", Detail: "cron " + expression}, nil
	})
}
