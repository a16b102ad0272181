package retrain

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

var (
	dayZero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	monday  = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
)

func TestPermits(t *testing.T) {
	p := Policy{}.withDefaults(0)
	now := monday
	g := ledger{Forgiven: -1}
	_, ok := p.permits(now, g)
	require.True(t, ok, "before the first one")
	g.begin(now, Retraining{Number: 1, Champion: 1})
	reason, ok := p.permits(now.Add(23*time.Hour), g)
	require.False(t, ok)
	require.Contains(t, reason, "cooling down")
	_, ok = p.permits(now.Add(day), g)
	require.True(t, ok)
	for range 5 {
		g.end(now, Retraining{Champion: 1, Stage: RolledBack})
	}
	reason, ok = p.permits(now.Add(400*day), g)
	require.False(t, ok)
	require.Contains(t, reason, "ResetFailures")
	g.forgive()
	_, ok = p.permits(now.Add(day), g)
	require.True(t, ok)
}

func TestCooldownFollowsTheLabelDelay(t *testing.T) {
	require.Equal(t, 30*day, Policy{}.withDefaults(30*day).Cooldown)
	require.Equal(t, day, Policy{}.withDefaults(time.Hour).Cooldown)
	require.Zero(t, Policy{Cooldown: -1}.withDefaults(time.Hour).Cooldown)
}

func TestBudget(t *testing.T) {
	p := Policy{Cooldown: -1, Per: 10 * day}.withDefaults(0)
	g := ledger{First: monday}
	for range 3 {
		_, ok := p.permits(monday.Add(20*day), g)
		require.True(t, ok)
		g.begin(monday, Retraining{Number: 1, Champion: 1})
	}
	reason, ok := p.permits(monday.Add(20*day), g)
	require.False(t, ok)
	require.Contains(t, reason, "budget")
}

// TestBackoffDoubles makes retrainings come to nothing for one alert that goes
// on firing: the waits double, to 14 days.
func TestBackoffDoubles(t *testing.T) {
	p := Policy{}.withDefaults(0)
	g := ledger{Forgiven: -1}
	alert := Cause{Trigger: triggerDrift, AlertID: "a"}
	worst := map[string]float64{"a": 2}
	now := monday
	var waits []time.Duration
	last := now
	for range 40 * 24 * 4 {
		now = now.Add(15 * time.Minute)
		if _, ok := p.permits(now, g); !ok {
			continue
		}
		if _, ok := p.due(now, g, alert, worst["a"]); !ok {
			continue
		}
		waits = append(waits, now.Sub(last).Round(time.Hour))
		last = now
		g.begin(now, Retraining{Number: g.Next, Champion: 1})
		g.answer(now, worst)
		g.end(now.Add(time.Minute), Retraining{Champion: 1, Stage: Rejected})
	}
	require.Equal(t, []time.Duration{0, day, 2 * day, 4 * day, 8 * day, 14 * day}, waits)
}

// TestBackoffOfHugeSettings must not overflow into none.
func TestBackoffOfHugeSettings(t *testing.T) {
	p := Policy{MaxBackoff: math.MaxInt64}.withDefaults(day)
	for n := 1; n < 100; n++ {
		require.GreaterOrEqual(t, p.backoff(n), day)
	}
	l := terms{LabelDelay: 90 * day, Rollout: Rollout{Patience: 1000}}
	require.Greater(t, l.patience(30*day), 90*365*day)
}

func TestAWorseAlertIsAnsweredAtOnce(t *testing.T) {
	p := Policy{}.withDefaults(0)
	g := ledger{Forgiven: -1}
	g.begin(monday, Retraining{Number: 1, Champion: 1})
	g.answer(monday, map[string]float64{"a": 2})
	g.end(monday, Retraining{Champion: 1, Stage: Rejected})
	later := monday.Add(25 * time.Hour)
	for range 3 {
		g.end(monday, Retraining{Champion: 1, Stage: Rejected})
	}
	_, ok := p.due(monday.Add(time.Hour), g, Cause{Trigger: triggerDrift, AlertID: "a"}, 2.9)
	require.False(t, ok, "1.45 times as bad")
	_, ok = p.due(later, g, Cause{Trigger: triggerDrift, AlertID: "a"}, 3)
	require.True(t, ok, "1.5 times as bad")
	for _, trigger := range []string{triggerManual, triggerSchedule} {
		_, ok = p.due(monday, g, Cause{Trigger: trigger}, 0)
		require.True(t, ok, "%s waits for no back-off", trigger)
	}
	_, ok = p.due(monday.Add(7*day), g, Cause{Trigger: triggerDecay}, 0)
	require.False(t, ok, "four in a row came to nothing")
}

func TestLedgerForgetsAlertsThatAreOver(t *testing.T) {
	var g ledger
	g.answer(monday, map[string]float64{"a": 2, "b": 3})
	require.Equal(t, 1, g.Answered["a"].Times, "a retraining answers all that fire")
	g.answer(monday, map[string]float64{"b": 3})
	require.Len(t, g.Answered, 1)
	require.Equal(t, 2, g.Answered["b"].Times)
}

func TestLedgerRewinds(t *testing.T) {
	g := ledger{First: monday, LastStart: monday.Add(day), LastEnd: monday.Add(2 * day), Answered: map[string]alertAnswer{"a": {At: monday.Add(day)}}}
	now := monday.Add(time.Hour)
	g.rewind(now)
	require.Equal(t, ledger{First: monday, LastStart: now, LastEnd: now, Answered: map[string]alertAnswer{"a": {At: now}}}, g)
}
