package retrain_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
)

// fullLog says that the log takes up so many bytes.
type fullLog struct {
	serve.Store
	bytes *int64
}

func (s fullLog) Counts(ctx context.Context, model string) (serve.Counts, error) {
	c, err := s.Store.Counts(ctx, model)
	if *s.bytes > 0 {
		c.Bytes = *s.bytes
	}
	return c, err
}

func (w *world) logged() int64 {
	w.t.Helper()
	c, err := w.stores.Serve.Counts(w.t.Context(), "churn")
	require.NoError(w.t, err)
	return c.Predictions
}

// TestRetentionByAge deletes what is older than a day and a half, but neither the
// window that the monitor reads again after a restart nor the rows of a rollout,
// however old they are.
func TestRetentionByAge(t *testing.T) {
	w := newWorld(t, newStream(t, 50*rowsADay, never), func(c *retrain.Config) { c.Retention.Age = 36 * day / 24 })
	w.start(20 * rowsADay)
	w.mute = true
	w.run(retrainable)
	w.step(at(w.row))
	require.Less(t, w.logged(), int64(3*rowsADay))
	require.GreaterOrEqual(t, w.logged(), int64(240), "its window")
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(33 * rowsADay)
	retraintest.RequireStage(t, w.loop, retrain.Shadowing)
	require.GreaterOrEqual(t, w.logged(), int64(7*rowsADay), "a label may come yet")
	w.run(36 * rowsADay)
	retraintest.RequireStage(t, w.loop, retrain.Inconclusive)
	require.Less(t, w.logged(), int64(4*rowsADay))
}

// TestRetentionBySize warns at 80 % of the bytes, once, and deletes the oldest
// beyond all of them.
func TestRetentionBySize(t *testing.T) {
	var bytes int64
	w := newWorld(t, newStream(t, 50*rowsADay, never), func(c *retrain.Config) {
		stores := *c.Stores
		stores.Serve = fullLog{stores.Serve, &bytes}
		c.Stores = &stores
	})
	w.start(20 * rowsADay)
	w.run(30 * rowsADay)
	retraintest.RequireNoEvent(t, w.loop, retrain.EventLogFull)
	bytes = 16e9 + 1
	w.run(31*rowsADay + 1)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventLogFull).Text, "the prediction log takes 16.0 GB of the 20.0 GB that Retention.Bytes allows: beyond it the oldest predictions are deleted, though they are younger than 4392h0m0s")
	require.EqualValues(t, 11*rowsADay, w.logged())
	bytes = 20e9 + 1
	w.run(34*rowsADay + 1)
	require.Less(t, w.logged(), int64(14*rowsADay-60), "six hours at each look")
	require.Equal(t, 1, w.count(retrain.EventLogFull))
}
