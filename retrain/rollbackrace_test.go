package retrain_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// beaten is a Store in which another process's write comes first, as often as
// left says, counted down by each write of the state.
type beaten struct {
	retrain.Store
	from, left atomic.Int64 // writes that go through before, and that lose
}

func (b *beaten) PutState(ctx context.Context, s retrain.State) error {
	if b.from.Add(-1) >= 0 {
		return b.Store.PutState(ctx, s)
	}
	if b.left.Add(-1) >= 0 {
		theirs, err := b.State(ctx, s.Model)
		theirs.Rev++
		if err = errors.Join(err, b.Store.PutState(ctx, theirs)); err != nil {
			return err
		}
	}
	return b.Store.PutState(ctx, s)
}

// TestRollBackBesideTheLeader rolls a canary back in a process that does not
// lead, while the leader's writes come before each of its own in turn: the canary
// is taken back, and the champion is not.
func TestRollBackBesideTheLeader(t *testing.T) {
	for before := range int64(4) {
		w := inStage(t, retrain.Canarying)
		stores := retraintest.AnotherProcess(w.stores)
		store := &beaten{Store: w.stores.Retrain}
		stores.Retrain = store
		c := baseConfig(w.stream, stores)
		c.Now = w.now
		follower, err := retrain.New(c)
		require.NoError(t, err)
		_, err = follower.Open(t.Context())
		require.NoError(t, err)
		store.from.Store(before)
		store.left.Store(1)
		require.NoError(t, follower.RollBack(t.Context(), "a person saw harm"), "%d writes came through", before)
		s, err := follower.Status(t.Context())
		require.NoError(t, err)
		require.False(t, s.Leading)
		require.Nil(t, s.Retraining)
		require.Contains(t, s.Paused, "a person saw harm")
		requireChampion(t, w, 1)
		require.Zero(t, w.route().Canary)
		require.Equal(t, retrain.RolledBack, w.last().Stage)
		require.NoError(t, follower.Close(t.Context()))
	}
}
