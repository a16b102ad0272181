package retrain_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

// silenced is a store that loses events which explain why nothing happens.
type silenced struct{ retrain.Store }

func (s silenced) AppendEvent(ctx context.Context, e retrain.Event) error {
	switch e.Kind {
	case retrain.EventWaiting, retrain.EventSuppressed, retrain.EventStopped, retrain.EventStepFailing:
		return nil
	}
	return s.Store.AppendEvent(ctx, e)
}

// promoteAtOnce is a configuration in which nothing is judged.
func promoteAtOnce(c *retrain.Config) {
	c.Gates, c.Rollout, c.Inconclusive = nil, retrain.Rollout{}, retrain.GoOn
	c.Triggers = []retrain.Trigger{retrain.Every(2 * 24 * time.Hour)}
}

// believed are the settings that the invariants take the broken loops to have.
func believed(s *chaosSettings) {
	s.quiet, s.days, s.perHour, s.every = true, 16, 6, 2*24*time.Hour
	s.config.LabelDelay, s.config.Holdout, s.config.Interval = 2*time.Hour, 2*24*time.Hour, time.Hour
	s.config.Rollout, s.config.Inconclusive = retrain.Rollout{Shadow: 24 * time.Hour}, ""
	s.config.Policy = retrain.Policy{}
	s.config.Triggers = []retrain.Trigger{retrain.Every(s.every)}
}

// alarm is a loop that is broken on purpose, and what has to be said of it.
type alarm struct {
	name, alarm string
	sabotage    sabotage
}

func alarms() []alarm {
	return []alarm{
		{"a worse model is promoted unjudged", "was promoted without a verdict of its rollout", sabotage{config: promoteAtOnce, kind: kindWorse}},
		{"a hanging model is promoted", "got no answer after 51ms", sabotage{config: promoteAtOnce, kind: kindHanging}},
		{"a failing model is promoted", "got status 500: ", sabotage{config: promoteAtOnce, kind: kindFailing}},
		{"the cooldown is not kept", "the cooldown is 24h0m0s", sabotage{kind: kindUnloadable, config: func(c *retrain.Config) {
			c.Policy.Cooldown, c.Triggers = -1, []retrain.Trigger{retrain.Every(6 * time.Hour)}
		}}},
		{"failures do not stop it", "failures in a row", sabotage{kind: kindUnfit, config: func(c *retrain.Config) { c.Policy.MaxFailures = 50 }}},
		{"a stage has no end", "has been shadow for", sabotage{kind: kindGood, config: func(c *retrain.Config) {
			c.Rollout.MinLabels, c.Rollout.Patience = 20_000, 20
		}}},
		{"it stops in silence", "by an event false", sabotage{kind: kindUnfit, stores: func(s *retrain.Stores) { s.Retrain = silenced{s.Retrain} }}},
		{"steps end", "behind the clock", sabotage{config: func(c *retrain.Config) { c.Interval = 90 * 24 * time.Hour }}},
	}
}

// TestChaosAlarms shows that the invariants of TestChaos can fail: a loop that is
// broken on purpose breaks them.
func TestChaosAlarms(t *testing.T) {
	notShort(t)
	for _, c := range alarms() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := runHistory(t, 7, func(s *chaosSettings) {
					believed(s)
					s.sabotage = c.sabotage
				})
				require.NotEmpty(t, h.violations)
				require.Contains(t, strings.Join(h.violations, "\n"), c.alarm, h.report())
				if c.sabotage.kind == kindWorse {
					require.NotZero(t, h.tally.Bad[kindWorse], "it is counted as well")
				}
			})
		})
	}
	t.Run("and a sound loop breaks none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := runHistory(t, 7, believed)
			require.Empty(t, h.violations, h.report())
		})
	})
}

// TestShadowAloneStopsBadCalls: where no canary follows, the shadow has to find
// calls that fail, and slow ones where few rows come.
func TestShadowAloneStopsBadCalls(t *testing.T) {
	notShort(t)
	for _, kind := range []string{kindFailing, kindSlow} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := runHistory(t, 10, func(s *chaosSettings) {
					s.quiet, s.days, s.perHour, s.every = true, 20, 8, 2*24*time.Hour
					s.sabotage.kind = kind
					c := &s.config
					c.LabelDelay, c.Holdout, c.Interval, c.Gates = 12*time.Hour, 4*24*time.Hour, time.Hour, nil
					c.Rollout = retrain.Rollout{Shadow: 24 * time.Hour, Metric: "accuracy", Margin: 0.1, MinLabels: 100, Inconclusive: retrain.GoOn}
					c.Policy, c.Triggers = retrain.Policy{}, []retrain.Trigger{retrain.Every(s.every)}
				})
				require.Empty(t, h.violations, h.report())
				require.NotZero(t, h.tally.RolledOut[kind])
				require.Zero(t, h.tally.Stages[retrain.Promoted], h.report())
			})
		})
	}
}

// weary is a store that counts the tries to report something, and hangs at last.
type weary struct {
	retrain.Store
	tries *atomic.Int64
}

func (s weary) AppendEvent(ctx context.Context, e retrain.Event) error {
	if s.tries.Add(1) > 5000 {
		<-ctx.Done()
	}
	return s.Store.AppendEvent(ctx, e)
}

// TestRunDoesNotSpin: a fit ends for want of its source while the store takes no
// writes. That is tried again at each interval, not at once and for ever.
func TestRunDoesNotSpin(t *testing.T) {
	notShort(t)
	var tries atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		h := runHistory(t, 7, func(s *chaosSettings) {
			believed(s)
			s.days, s.fitFirst = 4, true
			s.plan = func(h *history) {
				end := h.begin.Add(57*time.Hour + 20*time.Minute)
				h.sourceFaults = outages{{h.begin.Add(time.Hour), end, "late"}}
				h.later(57*time.Hour+10*time.Minute, "the store takes no writes", func() { h.setDown(downRetrain) })
				h.later(62*time.Hour, "the store takes writes again", func() { h.setDown(0) })
			}
			s.sabotage.stores = func(s *retrain.Stores) { s.Retrain = weary{s.Retrain, &tries} }
		})
		require.Contains(t, h.report(), "the source took too long", "it is put off once the store takes writes")
	})
	require.Less(t, tries.Load(), int64(500))
}
