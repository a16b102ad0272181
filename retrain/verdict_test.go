package retrain_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
)

// TestFewLabels judges a shadow that has fewer labels than are wanted: not
// judged is not passed. Suppressed triggers and the stop after failures are
// told once.
func TestFewLabels(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, 1<<30), func(c *retrain.Config) {
		c.Rollout.MinLabels = 100
		c.Policy.Cooldown = 30 * 24 * time.Hour
		c.Triggers = []retrain.Trigger{retrain.Every(24 * time.Hour)}
	})
	w.start(20 * rowsADay)
	w.run(28 * rowsADay)
	rejected := retraintest.RequireStage(t, w.loop, retrain.Rejected)
	require.Contains(t, rejected.Verdicts[2].Reason, "24 live rows were answered by both and labelled, 100 are wanted: lengthen Rollout.Shadow")
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventSuppressed).Text, "schedule wanted: cooling down")
	retraintest.RequireNoEvent(t, w.loop, retrain.EventCanary)
	told := 0
	for _, kind := range w.kinds() {
		if kind == retrain.EventSuppressed {
			told++
		}
	}
	require.Equal(t, 1, told)
}

// TestPromotionWithoutRollout promotes what passes the gates at once.
func TestPromotionWithoutRollout(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, 1<<30), func(c *retrain.Config) {
		c.Rollout = retrain.Rollout{}
		c.Gates = []retrain.Gate{retrain.AtLeast("accuracy", 0.8), retrain.AtLeast("log_loss", 0.6)}
	})
	w.start(20 * rowsADay)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(21 * rowsADay)
	last := retraintest.RequirePromoted(t, w.loop, 2)
	require.Len(t, last.Verdicts, 2)
	steppedAt, err := w.loop.Open(t.Context())
	require.NoError(t, err)
	require.Equal(t, at(20*rowsADay), steppedAt)
}

// brokenRoutes is a serve.Store that cannot keep a route with a shadow.
type brokenRoutes struct{ serve.Store }

func (s brokenRoutes) PutRoute(ctx context.Context, r serve.Route) error {
	if r.Shadow != 0 {
		return fault.Errorf(fault.Corrupt, "the page is damaged")
	}
	return s.Store.PutRoute(ctx, r)
}

// TestTransitionFails has a challenger that cannot be brought to its stage:
// that retraining has failed, and the champion answers on.
func TestTransitionFails(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, 1<<30), func(c *retrain.Config) {
		stores := *c.Stores
		stores.Serve = brokenRoutes{stores.Serve}
		c.Stores = &stores
	})
	w.start(20 * rowsADay)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(22 * rowsADay)
	require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, "the page is damaged")
	require.Equal(t, registry.Rejected, versionState(t, w, 2))
	require.Equal(t, serve.Route{Model: "churn", Primary: 1}, w.route())
}
