package retrain_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// lost is a registry.Store that has lost a version.
type lost struct {
	registry.Store
	number int64
}

func (s lost) Version(ctx context.Context, model string, number int64) (registry.Version, error) {
	if number == s.number {
		return registry.Version{}, fault.Errorf(registry.ErrNotFound, "version %d is gone", number)
	}
	return s.Store.Version(ctx, model, number)
}

// another is a drift.Store whose checkpoint is of another reference profile.
type another struct{ drift.Store }

func (s another) Checkpoint(ctx context.Context, model string) (drift.Checkpoint, error) {
	c, err := s.Store.Checkpoint(ctx, model)
	c.Version = 3
	return c, err
}

// TestMonitorThatCannotBeRestored loses what the monitor was made of between two
// lives: the loop says so, and goes on watching whoever is champion.
func TestMonitorThatCannotBeRestored(t *testing.T) {
	for want, spoil := range map[string]func(s *retrain.Stores){
		"the monitor of version 1 cannot be restored, and begins anew: ": func(s *retrain.Stores) { s.Registry = lost{s.Registry, 1} },
		"the monitor of version 3 cannot be restored, and begins anew: ": func(s *retrain.Stores) { s.Drift = another{s.Drift} },
	} {
		w := inStage(t, retrain.Shadowing) // in which version 3 waits
		w.moveAlias(1, 3)
		stores := *w.stores
		stores.Engine = w.stores.Engine.(*retraintest.Engine).Restart()
		next := newWorldOn(t, w.stream, &stores, func(c *retrain.Config) {
			spoil(&stores)
			c.Stores = &stores
		})
		next.from(w.row)
		next.runDays(2)
		require.Contains(t, retraintest.RequireEvent(t, next.loop, retrain.EventMonitor).Text, want)
		require.Empty(t, next.status().Failing)
		require.EqualValues(t, 3, next.route().Primary)
	}
}

// fullDrift is a drift.Store that takes no checkpoint while it is full.
type fullDrift struct {
	drift.Store
	full bool
}

func (s *fullDrift) Save(ctx context.Context, c drift.Checkpoint, changed []drift.Alert) error {
	if s.full {
		return fault.Errorf(retrain.ErrUnavailable, "the disk is full")
	}
	return s.Store.Save(ctx, c, changed)
}

// TestRetentionWaitsForTheWatch logs for days that no step can read, under a
// retention of one day: what is unread is not deleted.
func TestRetentionWaitsForTheWatch(t *testing.T) {
	var d *fullDrift
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		stores := *c.Stores
		d = &fullDrift{Store: stores.Drift}
		stores.Drift, c.Stores, c.Retention.Age = d, &stores, day
	})
	w.start(20 * rowsADay)
	w.runDays(1)
	w.step(at(w.row))
	d.full = true
	for range 4 * rowsADay {
		w.clock.Store(at(w.row).UnixMilli())
		w.ask(w.row)
		w.row++
	}
	require.ErrorContains(t, w.loop.Step(t.Context(), at(w.row)), "the disk is full")
	counts, err := w.stores.Serve.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.GreaterOrEqual(t, counts.Predictions, int64(4*rowsADay))
	d.full = false
	require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(2*time.Hour)))
	kept, err := w.stores.Serve.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, counts.Predictions, kept.Predictions, "nothing is deleted for a day after a gap between steps: the clock may be wrong")
	require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(26*time.Hour)))
	counts, err = w.stores.Serve.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.LessOrEqual(t, counts.Predictions, int64(3*rowsADay), "once they are read")
}
