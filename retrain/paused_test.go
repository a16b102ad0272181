package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// TestPauseSpendsNoLook pauses a shadow that is ready to be judged, over many
// steps: what is judged afterwards has its whole level and the same rows.
func TestPauseSpendsNoLook(t *testing.T) {
	w := challenged(t, retrain.Shadowing, nil)
	require.NoError(t, w.loop.Pause(t.Context(), "a holiday"))
	w.runDays(6)
	for i := range 40 {
		require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i+10)*time.Minute)))
	}
	retraintest.RequireStage(t, w.loop, retrain.Shadowing)
	require.NoError(t, w.loop.Unpause(t.Context()))
	w.step(at(w.row).Add(2 * time.Hour))
	retraintest.RequireStage(t, w.loop, retrain.Canarying)
	last := w.last()
	require.Equal(t, retrain.Pass, last.Verdicts[len(last.Verdicts)-1].Outcome)
}

// TestHarmWhilePausedIsTold has a canary fail while the loop is paused: it moves
// nothing, as it was told, and says so.
func TestHarmWhilePausedIsTold(t *testing.T) {
	var bad atomic.Bool
	w := challenged(t, retrain.Canarying, func(c *retrain.Config) {
		c.Rollout.Bake = 10 * day
		c.Flavors = spoilChallengers(func(context.Context) error {
			if bad.Load() {
				return errOutOfMemory
			}
			return nil
		})
	})
	require.NoError(t, w.loop.Pause(t.Context(), "a freeze"))
	bad.Store(true)
	w.runDays(3)
	retraintest.RequireStage(t, w.loop, retrain.Canarying)
	require.Equal(t, 1, w.count(retrain.EventHarm), "told once")
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventHarm).Text, "does harm and answers on, because the loop is paused")
	require.NoError(t, w.loop.Unpause(t.Context()))
	w.runDays(1)
	retraintest.RequireStage(t, w.loop, retrain.RolledBack)
}

// TestPromoteAfterTheAliasWasDeleted puts a champion back by the wheel.
func TestPromoteAfterTheAliasWasDeleted(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), nil)
	w.start(20 * rowsADay)
	w.moveAlias(1, 0)
	require.NoError(t, w.loop.Promote(t.Context(), 1, "the alias was deleted by mistake"))
	requireChampion(t, w, 1)
	w.runDays(1)
	require.Len(t, w.retrainings(), 1, "no first fit was begun")
}

// TestFirstFitWhilePaused says what keeps it from being promoted.
func TestFirstFitWhilePaused(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), nil)
	w.from(20 * rowsADay)
	history := w.stream.table.Slice(0, w.row)
	require.NoError(t, w.loop.Pause(t.Context(), "a freeze"))
	err := w.loop.FitFirst(t.Context(), at(w.row), history)
	require.ErrorIs(t, err, retrain.ErrConflict)
	require.ErrorContains(t, err, "is not promoted while the loop is paused: call Unpause, then FitFirst again")
	require.NoError(t, w.loop.Unpause(t.Context()))
	require.NoError(t, w.loop.FitFirst(t.Context(), at(w.row), history))
	requireChampion(t, w, 1)
}
