package retrain

import (
	"fmt"
	"math"
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
	// Live holds the champion's latest labelled answers, at most 672, oldest first,
	// and Baseline its metrics on the rows that it was judged on before promotion.
	Live     metric.Scores
	Baseline map[string]float64
}

// Trigger says when a retraining is wanted. Implementations are safe for
// concurrent use and depend on the situation alone. A panic counts as an error.
// One that is a Waiter too says in Status what it waits for.
type Trigger interface {
	// Wanted returns the cause, or nil. An error is logged and wants nothing.
	Wanted(s Situation) (*Cause, error)
}

// TriggerFunc makes a function a Trigger.
type TriggerFunc func(s Situation) (*Cause, error)

func (f TriggerFunc) validate(p *fault.Problems) {
	if f == nil {
		p.Addf("TriggerFunc: the function is nil")
	}
}

// Wanted implements Trigger.
func (f TriggerFunc) Wanted(s Situation) (*Cause, error) { return f(s) }

// OnDrift wants a retraining while a drift alert is firing: that of the one
// that is furthest beyond its threshold. The loop answers an alert once, and
// again only as Policy says.
func OnDrift() Trigger { return onDrift{} }

type onDrift struct{}

// Wanted implements Trigger.
func (onDrift) Wanted(s Situation) (*Cause, error) {
	if len(s.Alerts) == 0 {
		return nil, nil
	}
	a := s.Alerts[0]
	for _, other := range s.Alerts {
		if other.Worst > a.Worst {
			a = other
		}
	}
	return &Cause{Trigger: triggerDrift, Detail: a.Source + ": " + strings.Join(a.ColumnNames(), ", "), AlertID: a.ID}, nil
}

// minDecayLabels is the least number of labels on which OnDecay says anything.
const minDecayLabels = 100

// OnDecay wants a retraining when the named metric of the champion's latest
// labelled answers is worse than on the rows that it was judged on before, by
// more than drop even at the favourable end of its interval.
func OnDecay(name string, drop float64) Trigger { return onDecay{name, drop} }

type onDecay struct {
	metric string
	drop   float64
}

func (t onDecay) validate(p *fault.Problems) {
	validateMetric(p, t.metric)
	if !(t.drop >= 0) || math.IsInf(t.drop, 0) {
		p.Addf("OnDecay: a drop of %g must not be negative", t.drop)
	}
}

// Wanted implements Trigger.
func (t onDecay) Wanted(s Situation) (*Cause, error) {
	m, err := metric.ByName(t.metric)
	if err != nil {
		return nil, err
	}
	baseline, ok := s.Baseline[t.metric]
	if !ok || len(s.Live.Labels) < minDecayLabels {
		return nil, nil
	}
	live, err := m.Evaluate(s.Live, nil)
	if err != nil {
		return nil, fmt.Errorf("decay of %s: %w", t.metric, err)
	}
	decayed := live.High < baseline-t.drop
	if !m.HigherBetter {
		decayed = live.Low > baseline+t.drop
	}
	if !decayed {
		return nil, nil
	}
	return &Cause{Trigger: triggerDecay, Detail: fmt.Sprintf("%s %.3f [%.3f, %.3f] on the last %d labels, %.3f before",
		t.metric, live.Value, live.Low, live.High, live.N, baseline)}, nil
}

// Every wants a retraining when the last one began d ago, which is above 0.
func Every(d time.Duration) Trigger { return every(d) }

type every time.Duration

func (t every) validate(p *fault.Problems) {
	if t <= 0 {
		p.Addf("Every: %s must be above 0", time.Duration(t))
	}
}

// MarshalText is how a stored configuration has it.
func (t every) MarshalText() ([]byte, error) { return []byte(time.Duration(t).String()), nil }

// Wanted implements Trigger.
func (t every) Wanted(s Situation) (*Cause, error) {
	if s.Now.Sub(s.LastStart) < time.Duration(t) {
		return nil, nil
	}
	return &Cause{Trigger: triggerSchedule, Detail: "every " + time.Duration(t).String()}, nil
}

// Cron wants a retraining when the crontab expression (five fields, UTC) has
// come due since the last one began.
func Cron(expression string) Trigger { return cron(expression) }

type cron string

func (t cron) validate(p *fault.Problems) {
	if err := t.valid(); err != nil {
		p.Addf("%v", err)
	}
}

func (t cron) valid() error {
	if len(strings.Fields(string(t))) != 5 || !gronx.IsValid(string(t)) {
		return fault.Errorf(fault.Invalid, "cron %q: want five fields: minute, hour, day of the month, month, day of the week, such as 0 3 * * 1", string(t))
	}
	return nil
}

// Wanted implements Trigger.
func (t cron) Wanted(s Situation) (*Cause, error) {
	if err := t.valid(); err != nil {
		return nil, err
	}
	next, err := gronx.NextTickAfter(string(t), s.LastStart.UTC(), false)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "cron %q: %w", string(t), err)
	}
	if s.Now.Before(next) {
		return nil, nil
	}
	return &Cause{Trigger: triggerSchedule, Detail: "cron " + string(t)}, nil
}
