package tracking_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// deaf is a store whose calls hang, whatever becomes of their context, until
// it is released.
type deaf struct {
	tracking.Store
	release chan struct{}
	closed  bool
}

func (d *deaf) Log(ctx context.Context, id string, b tracking.Batch) error {
	<-d.release
	return d.Store.Log(context.WithoutCancel(ctx), id, b)
}

func (d *deaf) UpdateRun(ctx context.Context, p tracking.RunPatch) (tracking.RunInfo, error) {
	<-d.release
	return d.Store.UpdateRun(context.WithoutCancel(ctx), p)
}

func (d *deaf) Close() error { d.closed = true; return nil }

// What hangs in the store holds nobody longer than his context, and Close says
// what is lost until it is not.
func TestAStoreThatHangs(t *testing.T) {
	for _, background := range []bool{false, true} { // the flusher hangs too
		synctest.Test(t, func(t *testing.T) {
			store := &deaf{Store: trackingmem.New(), release: make(chan struct{})}
			c := tracking.New(store, &tracking.Options{FlushInterval: time.Hour})
			run, other := start(t, c, nil), start(t, c, nil)
			run.LogMetric("loss", 1, 1)
			run.LogMetric("loss", 1, 2)
			other.LogMetric("loss", 1, 1)
			if background {
				time.Sleep(time.Hour + time.Second)
			}
			began := time.Now()
			for _, call := range []func(context.Context) error{run.Flush, run.Finish, c.Close, c.Close, run.Flush} {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				require.Error(t, call(ctx))
				cancel()
			}
			require.LessOrEqual(t, time.Since(began), 41*time.Second)

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := c.Close(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "run "+run.ID()+": 2 records are not stored: ")
			require.ErrorContains(t, err, "run "+other.ID()+": 1 records are not stored: ")

			close(store.release)
			synctest.Wait()
			require.NoError(t, c.Close(t.Context()), "what was left is written")
			points, err := store.MetricHistory(t.Context(), run.ID(), "loss")
			require.NoError(t, err)
			require.Len(t, points, 2)
			require.False(t, store.closed, "the store is the caller's")
		})
	}
}

// One run that hangs does not keep Close from writing the others.
func TestCloseWritesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &one{Store: trackingmem.New(), run: "bad", log: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		c := tracking.New(store, &tracking.Options{FlushInterval: time.Hour})
		start(t, c, &tracking.RunOptions{ID: "bad"}).LogMetric("loss", 1, 1)
		for range 20 {
			start(t, c, nil).LogMetric("loss", 1, 1)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorContains(t, c.Close(ctx), "tracking: close: run bad: 1 records are not stored: ")
		runs, _, err := store.Runs(t.Context(), tracking.RunQuery{})
		require.NoError(t, err)
		stored := 0
		for _, r := range runs {
			stored += len(r.Metrics)
		}
		require.Equal(t, 20, stored)
	})
}
