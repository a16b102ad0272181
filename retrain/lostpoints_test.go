package retrain_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train"
)

// refusing is a tracking store that takes no point whose key begins with prefix,
// and whose refusal is of a kind that otherwise has things tried again.
type refusing struct {
	tracking.Store
	prefix string
}

func (s refusing) Log(ctx context.Context, runID string, b tracking.Batch) error {
	for _, m := range b.Metrics {
		if strings.HasPrefix(m.Key, s.prefix) {
			return errors.Join(tracking.ErrInvalid, errors.New("no such points"))
		}
	}
	return s.Store.Log(ctx, runID, b)
}

// TestLostPointsFailNoFit has the store refuse what the evaluation logs: the fit
// goes on, and an event tells of it.
func TestLostPointsFailNoFit(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Stores.Tracking = refusing{c.Stores.Tracking, "holdout_"}
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(7)
	retraintest.RequirePromoted(t, w.loop, 2)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventPointsLost).Text, `its step "evaluate" logged`)
}

// TestLostPointsRetryNoFit has a trainer fail that has logged more than is
// stored: it has failed, and is not tried again as if a store had been away.
func TestLostPointsRetryNoFit(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if job.Seed == 1 {
				return inner.Fit(ctx, job)
			}
			for i := range 1_000_000 {
				if job.Run.LogMetric("loss", 1, int64(i)); job.Run.Dropped() > 0 {
					break
				}
			}
			require.Positive(t, job.Run.Dropped())
			return nil, errOutOfMemory
		})
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(2)
	failed := retraintest.RequireStage(t, w.loop, retrain.Failed)
	require.Contains(t, failed.Reason, errOutOfMemory.Error())
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventPointsLost).Text, "were dropped")
}
