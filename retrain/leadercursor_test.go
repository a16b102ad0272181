package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/retrain"
)

// TestStalledDelivery stalls the leader in the middle of sending a message. Another
// delivers that one again, and those after it; when the first one wakes it knows
// that it leads no more, and neither sends the others nor moves the cursor back.
func TestStalledDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var armed atomic.Bool
		f := newFleet(t, 0, nil)
		f.change = func(c *retrain.Config) {
			n, inner := len(f.processes), c.Alerts[0]
			c.Alerts = []alert.Sender{alert.Func("pager", func(ctx context.Context, m alert.Message) error {
				if armed.CompareAndSwap(true, false) {
					f.processes[n].fuse.freeze()
					time.Sleep(13 * time.Second) // past its lease
					f.processes[n].fuse.thaw()
					time.Sleep(9 * time.Second) // it hears that another leads
				}
				return inner.Send(ctx, m)
			})}
		}
		f.start()
		f.start()
		defer f.close()
		f.untilChampion(1)
		time.Sleep(5 * time.Minute)
		asleep, asked := f.leader(), f.processes[0]
		if asked == asleep {
			asked = f.processes[1]
		}
		armed.Store(true)
		const wishes = 10
		for range wishes / 2 {
			require.NoError(t, asked.Pause(t.Context(), "a person asked"))
			require.NoError(t, asked.Unpause(t.Context()))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		require.False(t, armed.Load())
		require.NotEqual(t, asleep, f.leader())
		twice := 0
		for id, times := range f.sent {
			require.LessOrEqual(t, times, 2, "message %s", id)
			twice += times - 1
		}
		require.Equal(t, 1, twice, "the message that it stalled in, and no other")
		cursor, err := f.stores.Retrain.Cursor(t.Context(), "churn", "pager")
		require.NoError(t, err)
		s, err := f.leader().Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, s.Token, cursor.Token)
	})
}
