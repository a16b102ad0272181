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
// judged is not passed. What the traffic cannot meet is said at the first
// retraining, and a suppressed trigger is told once.
func TestFewLabels(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Rollout.MinLabels = 2000
		c.Policy.Cooldown = 30 * day
		c.Triggers = []retrain.Trigger{retrain.Every(day)}
	})
	w.start(20 * rowsADay)
	w.run(36 * rowsADay)
	last := retraintest.RequireStage(t, w.loop, retrain.Inconclusive)
	require.Contains(t, last.Reason, "live rows were answered by both and labelled, 2000 are wanted")
	require.Contains(t, last.Reason, "(Rollout.Inconclusive: keep champion)")
	require.Equal(t, retrain.Undetermined, last.Verdicts[2].Outcome)
	require.Equal(t, 2000, last.Verdicts[2].Needed)
	require.Equal(t, 8*day, last.EndedAt.Sub(last.StartedAt.Add(time.Minute)), "four times a day of shadow and a day of label delay")
	requireChampion(t, w, 1)
	retraintest.RequireNoEvent(t, w.loop, retrain.EventCanary)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventUnreachable).Text, "the shadow needs 2000 labelled rows, and in the 7 days")
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventSuppressed).Text, "cooling down")
	require.Equal(t, 1, w.count(retrain.EventSuppressed))
}

// TestPromotionWithoutRollout promotes what passes the gates at once.
func TestPromotionWithoutRollout(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Rollout = retrain.Rollout{}
		c.Gates = []retrain.Gate{retrain.AtLeast("accuracy", 0.8), retrain.AtLeast("log_loss", 0.6)}
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(1)
	last := retraintest.RequirePromoted(t, w.loop, 2)
	require.Len(t, last.Verdicts, 2)
	steppedAt, err := w.loop.Open(t.Context())
	require.NoError(t, err)
	require.Equal(t, at(retrainable).Add(time.Minute), steppedAt)
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
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		stores := *c.Stores
		stores.Serve = brokenRoutes{stores.Serve}
		c.Stores = &stores
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(2)
	require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, "the page is damaged")
	require.Equal(t, registry.Rejected, versionState(t, w, 2))
	require.Equal(t, serve.Route{Model: "churn", Primary: 1}, w.route())
}
