package retrain_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// TestCache: what was served before is not read from the artifacts again.
func TestCache(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "models")
	w := newWorld(t, newStream(t, 30*rowsADay, never), func(c *retrain.Config) { c.Stores.Cache = artifact.NewCache(folder, nil) })
	w.start(20 * rowsADay)
	next := *retraintest.AnotherProcess(w.stores)
	next.Cache = artifact.NewCache(folder, nil)
	again := newWorldOn(t, w.stream, &next, nil)
	retraintest.StepAndSettle(t, again.loop, at(20*rowsADay+1))
	require.Equal(t, []string{"churn"}, again.loop.Server().Models())
	stats := next.Cache.Stats()
	require.Zero(t, stats.Fetched)
	require.Positive(t, stats.Verified)
}
