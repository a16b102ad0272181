package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// TestFailingCanaryHarmsNobody has nine of ten calls of a canary fail: the
// primary answers them, and the next step, an hour later and long before the bake
// is over, rolls it back.
func TestFailingCanaryHarmsNobody(t *testing.T) {
	var bad atomic.Bool
	var n atomic.Int64
	w := challenged(t, retrain.Canarying, func(c *retrain.Config) {
		c.Rollout.Bake = 10 * day
		c.Flavors = spoilChallengers(func(context.Context) error {
			if bad.Load() && n.Add(1)%10 != 1 {
				return errOutOfMemory
			}
			return nil
		})
	})
	bad.Store(true)
	w.clock.Store(at(w.row).Add(2 * time.Minute).UnixMilli())
	for row := w.row; row < w.row+400; row++ {
		require.Contains(t, []int64{0, 1}, w.ask(row))
	}
	require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(time.Hour)))
	last := retraintest.RequireStage(t, w.loop, retrain.RolledBack)
	require.Contains(t, last.Verdicts[len(last.Verdicts)-1].Gate, "canary 50 %: no harm")
	require.Equal(t, retrain.Fail, last.Verdicts[len(last.Verdicts)-1].Outcome)
	require.Equal(t, serve.Route{Model: "churn", Primary: 1}, w.route())
	require.Equal(t, registry.Rejected, versionState(t, w, 2))
	fallbacks, err := w.stores.Serve.Predictions(t.Context(), serve.PredictionQuery{Model: "churn", Statuses: []serve.Status{frame.Fallback}})
	require.NoError(t, err)
	require.Greater(t, len(fallbacks), 100, "each is on record")
}

// TestHungCanary has a canary that never returns: each of its calls costs half of
// the deadline, it is taken off the route after a few, and rolled back.
func TestHungCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		bad := false
		w := challenged(t, retrain.Canarying, func(c *retrain.Config) {
			c.Flavors = spoilChallengers(func(context.Context) error {
				if bad {
					<-over
				}
				return nil
			})
		})
		bad = true
		slow := 0
		for row := w.row; row < w.row+100; row++ {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			began := time.Now()
			_, err := w.loop.Server().Predict(ctx, "churn", rowRequest(w.stream, row))
			cancel()
			require.NoError(t, err)
			require.LessOrEqual(t, time.Since(began), 10*time.Millisecond)
			if time.Since(began) > 0 {
				slow++
			}
		}
		require.LessOrEqual(t, slow, 3)
		require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(time.Hour)))
		require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.RolledBack).Reason, "of its calls run on after their time was over")
		close(over)
		synctest.Wait()
	})
}

// TestSilenceIsNoPass runs a canary without a label: it ends inconclusive at the
// end of its patience, and the champion stays.
func TestSilenceIsNoPass(t *testing.T) {
	w := challenged(t, retrain.Canarying, nil)
	w.mute = true
	w.runDays(7)
	retraintest.RequireStage(t, w.loop, retrain.Canarying)
	w.runDays(2)
	last := retraintest.RequireStage(t, w.loop, retrain.Inconclusive)
	require.Contains(t, last.Reason, "0 labelled")
	require.Contains(t, last.Reason, "60 labels are wanted (Rollout.Inconclusive: keep champion)")
	requireChampion(t, w, 1)
	retraintest.RequireNoEvent(t, w.loop, retrain.EventUnjudged)
}

// TestUnjudgedIsSaid promotes a canary without a label, as the configuration
// says: an event tells that nobody has judged it.
func TestUnjudgedIsSaid(t *testing.T) {
	w := challenged(t, retrain.Canarying, func(c *retrain.Config) { c.Rollout.Inconclusive = retrain.GoOn })
	w.mute = true
	w.runDays(9)
	retraintest.RequirePromoted(t, w.loop, 2)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventUnjudged).Text, "version 2 goes on unjudged, as the configuration says")
}

// TestCanaryWithoutTraffic bakes a canary that nobody asks: it is not promoted.
func TestCanaryWithoutTraffic(t *testing.T) {
	w := challenged(t, retrain.Canarying, nil)
	for d := 1; d <= 9; d++ {
		w.step(at(w.row + d*rowsADay))
	}
	require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Inconclusive).Reason, "0 calls answered")
	requireChampion(t, w, 1)
}

// TestLabelsCountOverAllWeights has too few labels at the last weight alone.
func TestLabelsCountOverAllWeights(t *testing.T) {
	w := challenged(t, retrain.Shadowing, func(c *retrain.Config) {
		c.Rollout.MinLabels, c.Rollout.Weights = 90, []float64{0.4, 0.5, 0.6}
	})
	w.run(31 * rowsADay)
	w.runDays(1)
	last := retraintest.RequirePromoted(t, w.loop, 2)
	require.Greater(t, last.Verdicts[len(last.Verdicts)-1].N, 90, "%+v", last.Verdicts)
}
