package retrain_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

// TestRunCollects runs a loop for two days: it collects, and tells of it, but
// where the service keeps its garbage.
func TestRunCollects(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := newGarbage(t)
			orphan := g.put("orphan")
			ctx, cancel := context.WithCancel(t.Context())
			c := baseConfig(newStream(t, 10, never), g.stores)
			c.Now, c.Retention.KeepGarbage = time.Now, keep
			loop, err := retrain.New(c)
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- loop.Run(ctx) }()
			time.Sleep(49 * time.Hour)
			require.Equal(t, keep, g.has(orphan))
			events, err := g.stores.Retrain.Events(t.Context(), retrain.EventQuery{Model: "churn"})
			require.NoError(t, err)
			var told []string
			for _, e := range events {
				if e.Kind == retrain.EventCollected {
					told = append(told, e.Text)
				}
			}
			if !keep {
				require.Equal(t, []string{"removed: 1 artifacts that nothing names (0.0 GB), the bundles of 0 rejected versions, 0 ended workflows"}, told)
			} else {
				require.Empty(t, told)
			}
			cancel()
			require.NoError(t, <-done)
			require.NoError(t, loop.Close(context.Background()))
			require.NoError(t, g.stores.Engine.Close(context.Background()))
		})
	}
}
