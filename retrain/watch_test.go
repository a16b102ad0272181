package retrain_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

// TestDriftDoesNotDependOnTheSteps finds the same drift at the same row, however
// often the loop is stepped.
func TestDriftDoesNotDependOnTheSteps(t *testing.T) {
	var found [][]drift.Alert
	for _, every := range []int{rowsADay, rowsADay / 6, 5, 4 * rowsADay} {
		s := newStream(t, 30*rowsADay, never)
		shifted(t, s, 24*rowsADay)
		w := newWorld(t, s, nil)
		w.start(20 * rowsADay)
		for ; w.row < 28*rowsADay; w.row++ {
			if w.row%every == 0 {
				require.NoError(t, w.loop.Step(t.Context(), at(w.row)))
			}
			w.clock.Store(at(w.row).UnixMilli())
			w.ask(w.row)
		}
		require.NoError(t, w.loop.Step(t.Context(), at(w.row)))
		alerts, err := w.stores.Drift.Alerts(t.Context(), drift.AlertQuery{Model: "churn"})
		require.NoError(t, err)
		require.NotEmpty(t, alerts)
		for i := range alerts {
			alerts[i].ID, alerts[i].Seq = "", 0
		}
		found = append(found, alerts)
	}
	for _, alerts := range found[1:] {
		require.Equal(t, found[0], alerts)
	}
}

// TestARepeatedRequestIsOneRow asks about one shifted row a thousand times under
// one id, which is no drift, and then under an id each, which is.
func TestARepeatedRequestIsOneRow(t *testing.T) {
	s := newStream(t, 30*rowsADay, never)
	shifted(t, s, 24*rowsADay)
	w := newWorld(t, s, nil)
	w.start(20 * rowsADay)
	w.run(24 * rowsADay)
	ask := func(id func(i int) string) {
		for i := range 1000 {
			r := rowRequest(s, w.row)
			r.ID = id(i)
			_, err := w.loop.Server().Predict(t.Context(), "churn", r)
			require.NoError(t, err)
		}
	}
	ask(func(int) string { return "again" })
	require.NoError(t, w.loop.Step(t.Context(), at(w.row+4)))
	require.Empty(t, w.status().Alerts)
	ask(func(i int) string { return fmt.Sprintf("other%d", i) })
	require.NoError(t, w.loop.Step(t.Context(), at(w.row+8)))
	require.NotEmpty(t, w.status().Alerts)
}

// TestAStepReadsAllThatWaits has more rows wait than one pass takes: a step makes
// passes until none is left.
func TestAStepReadsAllThatWaits(t *testing.T) {
	var rows, counts atomic.Int64
	w := newWorld(t, newStream(t, 30*rowsADay, never), func(c *retrain.Config) {
		stores := *c.Stores
		stores.Serve = countedServe{stores.Serve, &rows, &counts}
		c.Stores = &stores
	})
	w.start(20 * rowsADay)
	const waiting = 60_001
	features, err := w.stream.table.Select("x", "z")
	require.NoError(t, err)
	batch := make([]serve.Prediction, waiting)
	for i := range batch {
		batch[i] = serve.Prediction{
			ID: fmt.Sprintf("w%d", i), Model: "churn", Version: 1, Variant: serve.Primary, Status: frame.Answered,
			Time: at(w.row), Features: features.Row(i % (20 * rowsADay)), Digest: uint64(i),
		}
	}
	require.NoError(t, w.stores.Serve.AppendPredictions(t.Context(), batch))
	require.NoError(t, w.loop.Step(t.Context(), at(w.row+1)))
	require.GreaterOrEqual(t, rows.Load(), int64(waiting))
	rows.Store(0)
	require.NoError(t, w.loop.Step(t.Context(), at(w.row+2)))
	require.Zero(t, rows.Load())
}

// TestAFitIsToldItsProcessors hands Config.Procs to the Trainer, and its run,
// window and time with it.
func TestAFitIsToldItsProcessors(t *testing.T) {
	var seen train.Job
	w := newWorld(t, newStream(t, 30*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Procs, c.Drift = 3, &drift.Options{Window: 100}
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			seen = job
			return inner.Fit(ctx, job)
		})
	})
	w.start(20 * rowsADay)
	require.Equal(t, 3, seen.Procs)
	require.Equal(t, 100, seen.ProfileWindow)
	require.Equal(t, at(w.row), seen.Now)
	require.EqualValues(t, 1, seen.Seed)
	require.NotNil(t, seen.Run)
}

// TestShadowAnswersThatWereLostAreAskedAgain ends a life while rows wait for the
// shadow: the next one asks it about them, and the verdict rests on all.
func TestShadowAnswersThatWereLostAreAskedAgain(t *testing.T) {
	stores := retraintest.NewStores()
	s := newStream(t, 40*rowsADay, never)
	var hang atomic.Bool
	over := make(chan struct{})
	w := newWorldOn(t, s, stores, func(c *retrain.Config) {
		c.Flavors = spoilChallengers(func(ctx context.Context) error {
			if hang.Load() {
				<-over
			}
			return nil
		})
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.step(at(w.row))
	hang.Store(true)
	w.clock.Store(at(w.row).Add(2 * time.Minute).UnixMilli())
	first := w.row
	for row := first; row < first+rowsADay; row++ {
		w.clock.Store(at(row).Add(2 * time.Minute).UnixMilli())
		w.ask(row)
	}
	require.NoError(t, w.loop.Server().Flush(t.Context()))
	second := *stores
	second.Engine = stores.Engine.(*retraintest.Engine).Restart()
	next := newWorldOn(t, s, &second, nil)
	next.from(first + rowsADay)
	next.step(at(next.row))
	shadows, err := stores.Serve.Predictions(t.Context(), serve.PredictionQuery{Model: "churn", Variants: []serve.Variant{serve.Shadow}})
	require.NoError(t, err)
	require.Len(t, shadows, rowsADay)
	close(over)
}
