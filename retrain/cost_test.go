package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
)

// counted counts what the stores give back.
type counted struct {
	retrain.Store
	rows *atomic.Int64
}

func (s counted) Retrainings(ctx context.Context, q retrain.RetrainingQuery) ([]retrain.Retraining, error) {
	out, err := s.Store.Retrainings(ctx, q)
	s.rows.Add(int64(len(out)))
	return out, err
}

func (s counted) Events(ctx context.Context, q retrain.EventQuery) ([]retrain.Event, error) {
	out, err := s.Store.Events(ctx, q)
	s.rows.Add(int64(len(out)))
	return out, err
}

type countedDrift struct {
	drift.Store
	rows *atomic.Int64
}

func (s countedDrift) Alerts(ctx context.Context, q drift.AlertQuery) ([]drift.Alert, error) {
	out, err := s.Store.Alerts(ctx, q)
	s.rows.Add(int64(len(out)))
	return out, err
}

type countedServe struct {
	serve.Store
	rows, counts *atomic.Int64
}

func (s countedServe) Predictions(ctx context.Context, q serve.PredictionQuery) ([]serve.Prediction, error) {
	out, err := s.Store.Predictions(ctx, q)
	s.rows.Add(int64(len(out)))
	return out, err
}

func (s countedServe) Labels(ctx context.Context, q serve.LabelQuery) ([]serve.LabelledPrediction, error) {
	out, err := s.Store.Labels(ctx, q)
	s.rows.Add(int64(len(out)))
	return out, err
}

func (s countedServe) Counts(ctx context.Context, model string) (serve.Counts, error) {
	s.counts.Add(1)
	return s.Store.Counts(ctx, model)
}

// TestAStepCostsWhatIsNew makes a thousand idle steps after a history of
// predictions, labels, alerts and retrainings: none of it is read again, idle or
// with a challenger in its shadow.
func TestAStepCostsWhatIsNew(t *testing.T) {
	var rows, counts atomic.Int64
	s := newStream(t, 60*rowsADay, never)
	shifted(t, s, 26*rowsADay)
	w := newWorld(t, s, func(c *retrain.Config) {
		stores := *c.Stores
		stores.Retrain, stores.Drift = counted{stores.Retrain, &rows}, countedDrift{stores.Drift, &rows}
		stores.Serve = countedServe{stores.Serve, &rows, &counts}
		c.Stores = &stores
		c.Triggers = []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("accuracy", 0.1)}
		c.Policy.MaxBackoff = 100 * day
	})
	w.start(20 * rowsADay)
	w.run(40 * rowsADay)
	require.Greater(t, len(w.retrainings()), 2)
	idle := func() {
		rows.Store(0)
		counts.Store(0)
		now := w.status().SteppedAt
		for i := 1; i <= 1000; i++ {
			require.NoError(t, w.loop.Step(t.Context(), now.Add(time.Duration(i)*time.Second)))
		}
	}
	w.step(at(w.row))                // what came last
	w.step(at(w.row).Add(time.Hour)) // a stage that has begun reads what is usual, once
	idle()
	require.Zero(t, rows.Load())
	require.LessOrEqual(t, counts.Load(), int64(1), "the log's size is looked at once an hour")

	require.NoError(t, w.loop.Pause(t.Context(), "whatever stage it is in"))
	w.step(w.status().SteppedAt.Add(time.Hour))
	idle()
	require.Zero(t, rows.Load())
}
