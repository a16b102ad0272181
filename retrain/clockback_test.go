package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train/frame"
)

// TestClockSetBackUnderACanary sets the clock back by ten days while a canary
// runs, which then fails: what came after the clock was set back is looked at,
// though it lies before the canary's beginning.
func TestClockSetBackUnderACanary(t *testing.T) {
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
	w.runDays(1)
	back := at(w.row).Add(-10 * day)
	w.clock.Store(back.UnixMilli())
	require.NoError(t, w.loop.Step(t.Context(), back))
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventClock).Text, "the clock was set back by")
	bad.Store(true)
	for row := w.row; row < w.row+200; row++ {
		w.clock.Store(back.Add(time.Minute).UnixMilli())
		w.ask(row)
	}
	require.NoError(t, w.loop.Step(t.Context(), back.Add(time.Hour)))
	retraintest.RequireStage(t, w.loop, retrain.RolledBack)
}

// datedLabels is a LabelSource as a database is: it gives what is newer.
type datedLabels []retrain.KnownLabel

func (d *datedLabels) Labels(_ context.Context, since time.Time, yield func(retrain.KnownLabel) error) error {
	for _, k := range *d {
		if k.KnownAt.Before(since) {
			continue
		}
		if err := yield(k); err != nil {
			return err
		}
	}
	return nil
}

// TestClockSetBackUnderLabels has labels come that were stamped by a clock that
// was ten days ahead, and then, once it is right, others: none is missed.
func TestClockSetBackUnderLabels(t *testing.T) {
	labels := &datedLabels{}
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) { c.Labels = labels })
	w.mute = true
	w.start(20 * rowsADay)
	w.runDays(2)
	know := func(row int, known time.Time) {
		k := retrain.KnownLabel{KnownAt: known}
		k.ID, k.Value = rowID(row), frame.IntValue(w.label(row))
		*labels = append(*labels, k)
	}
	now, ahead := at(w.row), at(w.row).Add(10*day)
	know(20*rowsADay, ahead)
	require.NoError(t, w.loop.Step(t.Context(), ahead.Add(time.Minute)))
	require.Equal(t, ahead, w.status().Labels.KnownAt)
	require.NoError(t, w.loop.Step(t.Context(), now.Add(time.Hour)))
	know(20*rowsADay+1, now.Add(2*time.Hour))
	require.NoError(t, w.loop.Step(t.Context(), now.Add(3*time.Hour)))
	counts, err := w.stores.Serve.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 2, counts.Labels)
}
