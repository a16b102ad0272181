package retrain_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// TestShadowDelaysNobody has shadows that are slow, hang or panic: the champion
// answers within a deadline of 20 ms, without any time having passed at all.
func TestShadowDelaysNobody(t *testing.T) {
	for name, before := range map[string]func(ctx context.Context, over <-chan struct{}) error{
		"slow":   func(context.Context, <-chan struct{}) error { time.Sleep(700 * time.Millisecond); return nil },
		"hangs":  func(_ context.Context, over <-chan struct{}) error { <-over; return nil },
		"panics": func(context.Context, <-chan struct{}) error { panic("no shadow") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := make(chan struct{})
				bad := false
				w := challenged(t, retrain.Shadowing, func(c *retrain.Config) {
					c.Flavors = spoilChallengers(func(ctx context.Context) error {
						if bad {
							return before(ctx, over)
						}
						return nil
					})
				})
				bad = true
				require.EqualValues(t, 2, w.route().Shadow)
				for row := w.row; row < w.row+rowsADay; row++ {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
					began := time.Now()
					_, err := w.loop.Server().Predict(ctx, "churn", rowRequest(w.stream, row))
					cancel()
					require.NoError(t, err)
					require.Zero(t, time.Since(began))
				}
				require.NoError(t, w.loop.Settle(t.Context()), "each answer is waited for until its own deadline")
				close(over)
				synctest.Wait()
			})
		})
	}
}

// TestShadowThatFailsIsRejected has a shadow that answers nothing: its failures
// show before it is judged by labels, and the champion stays.
func TestShadowThatFailsIsRejected(t *testing.T) {
	bad := false
	w := challenged(t, retrain.Shadowing, func(c *retrain.Config) {
		c.Flavors = spoilChallengers(func(context.Context) error {
			if bad {
				return errOutOfMemory
			}
			return nil
		})
	})
	bad = true
	w.runDays(4)
	require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Rejected).Reason, "failure rate 1")
	requireChampion(t, w, 1)
	require.Greater(t, w.accuracy(retrainable, w.row), 0.9)
}

// TestShadowThatCannotBeLoadedAnyMore loses the challenger's loader between two
// lives: the champion answers, and the retraining does not wait for ever.
func TestShadowThatCannotBeLoadedAnyMore(t *testing.T) {
	stores := retraintest.NewStores()
	engine := stores.Engine.(*retraintest.Engine)
	s := newStream(t, 50*rowsADay, never)
	w := newWorldOn(t, s, stores, nil)
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.step(at(w.row))
	retraintest.RequireStage(t, w.loop, retrain.Shadowing)

	stores.Engine = engine.Restart()
	next := newWorldOn(t, s, stores, func(c *retrain.Config) { c.Flavors = refuseChallengers() })
	next.from(w.row)
	err := next.loop.Step(t.Context(), at(w.row+1))
	require.ErrorContains(t, err, "the challenger cannot be routed: ")
	require.Contains(t, retraintest.RequireStage(t, next.loop, retrain.Failed).Reason, "this machine is too small")
	next.step(at(w.row + 2))
	next.runDays(1)
	require.Greater(t, next.accuracy(retrainable, next.row), 0.9)
	require.Empty(t, next.status().Failing)
}
