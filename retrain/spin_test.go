package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// frozen is a retrain.Store that takes no state once a first one is stored, and
// counts how often a step has read it.
type frozen struct {
	retrain.Store
	read, put atomic.Int64
}

func (f *frozen) State(ctx context.Context, model string) (retrain.State, error) {
	f.read.Add(1)
	return f.Store.State(ctx, model)
}

func (f *frozen) PutState(ctx context.Context, s retrain.State) error {
	if f.put.Add(1) > 1 {
		return fault.Errorf(retrain.ErrUnavailable, "the disk is full")
	}
	return f.Store.PutState(ctx, s)
}

// TestRunDoesNotSpin has a fit end whose beginning could be stored and whose end
// cannot: Run tries again at its interval, not at once.
func TestRunDoesNotSpin(t *testing.T) {
	s := newStream(t, 40*rowsADay, never)
	synctest.Test(t, func(t *testing.T) {
		offset := time.Until(at(20 * rowsADay))
		stores := retraintest.NewStores()
		f := &frozen{Store: stores.Retrain}
		stores.Retrain = f
		c := baseConfig(s, stores)
		c.Interval, c.Now = time.Hour, func() time.Time { return time.Now().Add(offset) }
		loop, err := retrain.New(c)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- loop.Run(ctx) }()
		time.Sleep(24*time.Hour + time.Minute)
		stop()
		require.NoError(t, <-done)
		require.InDelta(t, 25, f.read.Load(), 3, "a step an hour")
		require.NoError(t, loop.Close(t.Context()))
		require.NoError(t, stores.Close(t.Context()))
	})
}
