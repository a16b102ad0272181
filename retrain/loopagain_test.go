package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train"
)

// TestLoopAgain makes a new loop of the model on the same stores once the one
// before is closed, in the middle of a fit: the fit goes on in the new one.
func TestLoopAgain(t *testing.T) {
	var hang atomic.Bool
	hung := make(chan struct{}, 10)
	change := func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if hang.Load() {
				hung <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return inner.Fit(ctx, job)
		})
	}
	w := newWorld(t, newStream(t, 40*rowsADay, never), change)
	w.start(20 * rowsADay)
	w.run(retrainable)
	_, err := retrain.New(baseConfig(w.stream, w.stores))
	require.ErrorIs(t, err, retrain.ErrAlreadyExists, "one loop of a model at a time")

	hang.Store(true)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	require.NoError(t, w.loop.Step(t.Context(), at(w.row)))
	<-hung
	first := w.loop
	require.NoError(t, first.Close(t.Context()))
	hang.Store(false)

	again := newWorldOn(t, w.stream, w.stores, change)
	again.from(w.row)
	again.clock.Store(at(w.row).UnixMilli())
	require.NoError(t, first.Close(t.Context()), "closing it twice takes nothing from the next one")
	_, err = retrain.New(baseConfig(w.stream, w.stores))
	require.ErrorIs(t, err, retrain.ErrAlreadyExists)
	again.runDays(2)
	last := again.retrainings()[1]
	require.Equal(t, retrain.Shadowing, last.Stage, last.Reason)
	require.Len(t, again.retrainings(), 2)
}
