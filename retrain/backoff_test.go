package retrain_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// rejecting is a gate that lets nothing pass.
type rejecting struct{}

func (rejecting) Name() string { return "rejecting" }

func (rejecting) Judge(context.Context, retrain.Candidate) (retrain.Verdict, error) {
	return retrain.Verdict{Gate: "rejecting", Outcome: retrain.Fail, Reason: "no"}, nil
}

func always(retrain.Situation) (*retrain.Cause, error) {
	return &retrain.Cause{Trigger: "own", Detail: "always"}, nil
}

// TestRejectingGateDoesNotSpin steps every minute with a trigger that always
// wants and a gate that always rejects, under the default policy: half an hour
// sees one retraining, and a month no more than the back-off lets through.
func TestRejectingGateDoesNotSpin(t *testing.T) {
	w := newWorld(t, newStream(t, 80*rowsADay, never), func(c *retrain.Config) {
		c.Gates = []retrain.Gate{rejecting{}}
		c.Triggers = []retrain.Trigger{retrain.TriggerFunc(always)}
	})
	w.start(20 * rowsADay)
	w.from(retrainable)
	for i := range 30 {
		require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute)))
		require.NoError(t, w.loop.Settle(t.Context()))
	}
	require.Len(t, w.retrainings(), 2, "the first fit and one more")
	for i := 1; i <= 28*24; i++ {
		require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Hour)))
		require.NoError(t, w.loop.Settle(t.Context()))
	}
	require.Equal(t, 1+5, len(w.retrainings()), "after 0, 1, 3, 7 and 15 days")
	require.Equal(t, 5, w.status().Fruitless)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventUnreachable).Text, `3 retrainings in a row came to nothing at the same place, "rejecting"`)
	require.Contains(t, w.status().Waiting[0], "backing off until")
	require.Less(t, w.count(retrain.EventSuppressed), 12, "told once after each, not at each step")

	require.NoError(t, w.loop.ResetFailures(t.Context()))
	w.step(at(w.row).Add(28*day + time.Hour))
	require.Len(t, w.retrainings(), 1+6, "a person forgives")
}

// TestScheduleKeepsItsTime is not held back by fruitless retrainings, only by
// the cooldown.
func TestScheduleKeepsItsTime(t *testing.T) {
	w := newWorld(t, newStream(t, 60*rowsADay, never), func(c *retrain.Config) {
		c.Gates = []retrain.Gate{rejecting{}}
		c.Triggers = []retrain.Trigger{retrain.Every(time.Minute)}
	})
	w.start(20 * rowsADay)
	w.from(retrainable)
	for i := range 10 * 24 {
		require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Hour)))
		require.NoError(t, w.loop.Settle(t.Context()))
	}
	require.Len(t, w.retrainings(), 1+10, "one a day: the default cooldown")
}

// TestStopsAfterFailures stops after MaxFailures and says so once; a person sets
// it going again.
func TestStopsAfterFailures(t *testing.T) {
	broken := false
	w := newWorld(t, newStream(t, 80*rowsADay, never), func(c *retrain.Config) {
		c.Policy.MaxFailures = 3
		c.Triggers = []retrain.Trigger{retrain.Every(day)}
		c.Trainer = breakable{c.Trainer, &broken}
		c.Rollout = retrain.Rollout{}
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	broken = true
	w.runDays(8)
	require.Len(t, w.retrainings(), 1+3)
	require.Equal(t, 1, w.count(retrain.EventStopped))
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventStopped).Text, "3 retrainings in a row failed: look at Retrainings, then call ResetFailures")
	require.Equal(t, 3, w.status().Failures)
	broken = false
	require.NoError(t, w.loop.ResetFailures(t.Context()))
	w.runDays(1)
	retraintest.RequirePromoted(t, w.loop, 2)
	require.Zero(t, w.status().Failures)
	require.Equal(t, 1, w.count(retrain.EventForgiven))
}
