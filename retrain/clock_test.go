package retrain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// TestClockJumpsAheadAndBack has the clock jump a year ahead and come back: both
// are told, and the loop goes on from where the clock is.
func TestClockJumpsAheadAndBack(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Triggers = []retrain.Trigger{retrain.Every(day)}
		c.Rollout = retrain.Rollout{}
	})
	w.start(20 * rowsADay)
	w.from(retrainable)
	w.step(at(w.row))
	require.NoError(t, w.loop.Step(t.Context(), at(w.row).AddDate(1, 0, 0)))
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventClock).Text, "no step was made for 8759h59m0s")
	before := len(w.retrainings())
	w.step(at(w.row + 1))
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventClock).Text, "the clock was set back by 8759h45m0s, from 2027-01-26T00:00:00Z: steps go on from here")
	require.Equal(t, at(w.row+1), w.status().SteppedAt.Add(-time.Minute))
	w.runDays(10)
	require.Greater(t, len(w.retrainings()), before+5, "the schedule goes on in the time that is")
	require.Equal(t, 3, w.count(retrain.EventClock), "the five days before that nobody stepped, too")
	require.Equal(t, retrain.Promoted, w.last().Stage)
}

// TestClockThatTrembles sets the clock back by less than the interval, as
// clocks are all the time: that step is nothing, and no event.
func TestClockThatTrembles(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), nil)
	w.start(20 * rowsADay)
	w.step(at(w.row))
	stepped := w.status().SteppedAt
	require.NoError(t, w.loop.Step(t.Context(), stepped.Add(-10*time.Second)))
	require.Equal(t, stepped, w.status().SteppedAt)
	retraintest.RequireNoEvent(t, w.loop, retrain.EventClock)
}

// TestClockSetBackInARollout sets the clock back by a month while a canary
// bakes: the stage goes on and is judged in the time that is.
func TestClockSetBackInARollout(t *testing.T) {
	w := challenged(t, retrain.Canarying, nil)
	for d := range 12 {
		w.step(at(w.row).AddDate(0, -1, 0).Add(time.Duration(d) * day))
	}
	require.Equal(t, retrain.Inconclusive, retraintest.RequireStage(t, w.loop, retrain.Inconclusive).Stage, "it is not stuck for a month")
	requireChampion(t, w, 1)
}
