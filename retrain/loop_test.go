package retrain_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

// TestLoopRecoversFromConceptChange turns the concept round and checks that
// the loop, on its own, comes back from nearly always wrong to nearly always right.
func TestLoopRecoversFromConceptChange(t *testing.T) {
	const flip = 26 * rowsADay
	s := newStream(t, 60*rowsADay, flip)
	w := newWorld(t, s, func(c *retrain.Config) {
		c.Data = s.recent(12)
		c.Triggers = []retrain.Trigger{retrain.OnDecay("accuracy", 0.1), retrain.OnDrift(), retrain.Every(10 * day)}
		c.Policy = retrain.Policy{Cooldown: 5 * day}
	})
	w.start(20 * rowsADay)
	w.run(60 * rowsADay)
	require.Greater(t, w.accuracy(20*rowsADay, flip), 0.85, "before the change")
	require.Less(t, w.accuracy(flip, flip+2*rowsADay), 0.3, "right after it")
	require.Greater(t, w.accuracy(52*rowsADay, 60*rowsADay), 0.85, "in the end")
	require.Subset(t, w.kinds(), []string{"promoted", "alert.fired", "retrain.started", "gate", "shadow", "canary"})

	champion, v, err := w.stores.Registry.Alias(t.Context(), "churn", registry.Champion)
	require.NoError(t, err)
	require.Greater(t, champion.Version, int64(1))
	made, err := w.stores.Retrain.Retrainings(t.Context(), retrain.RetrainingQuery{Model: "churn", Version: champion.Version})
	require.NoError(t, err)
	require.Len(t, made, 1)
	require.Equal(t, made[0].RunID, v.Lineage.RunID, "a version knows its run")
	require.Equal(t, made[0].FittedTo, v.Lineage.DataTo, "and what it was fitted on")
	run, err := w.stores.Tracking.Run(t.Context(), made[0].RunID)
	require.NoError(t, err)
	require.Contains(t, run.Metrics, "holdout_accuracy")
	require.Contains(t, run.Metrics, "champion_holdout_accuracy")
}

// TestStageOrder follows one retraining, asked for by hand, through its stages.
func TestStageOrder(t *testing.T) {
	w := newWorld(t, newStream(t, 34*rowsADay, never), nil)
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(32 * rowsADay)
	require.Equal(t, []string{
		"retrain.started", "promoted", "retrain.started", "gate", "gate", "shadow", "shadow", "canary", "canary", "canary", "canary", "promoted",
	}, w.kinds())
	last := w.last()
	require.Equal(t, retrain.Promoted, last.Stage)
	require.Equal(t, at(retrainable), last.StartedAt)
	require.Equal(t, at(30*rowsADay), last.EndedAt, "two days until the shadow's labels have come, a day at the first weight, two at the last")
	require.Equal(t, []retrain.Cause{{Trigger: "manual", Detail: "a person asked"}}, last.Causes)
	require.Len(t, last.Verdicts, 5)

	counts, err := w.stores.Serve.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 2*rowsADay, counts.Shadow, "the shadow was asked for as long as it ran")
	canaries, err := w.stores.Serve.Predictions(t.Context(), serve.PredictionQuery{Model: "churn", Variants: []serve.Variant{serve.Canary}})
	require.NoError(t, err)
	require.InDelta(t, rowsADay*(0.25+2*0.5), len(canaries), 30)
	for _, p := range canaries {
		require.Equal(t, last.Version, p.Version)
	}
	require.Equal(t, serve.Route{Model: "churn", Primary: last.Version}, w.route())
}

// constant is a Trainer whose models always answer the same class.
type constant struct {
	inner train.Trainer
	class int
	from  uint64 // first seed that it spoils
}

func (c constant) Fit(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
	if job.Seed < c.from {
		return c.inner.Fit(ctx, job)
	}
	labels := make([]frame.Value, job.Data.NumRows())
	for i := range labels {
		labels[i] = frame.IntValue(int64(c.class))
	}
	labels[0], labels[1] = frame.IntValue(int64(1-c.class)), frame.IntValue(int64(1-c.class)) // two classes there must be
	spoilt, err := job.Data.Drop(job.Label)
	if err != nil {
		return nil, err
	}
	job.Data, err = spoilt.WithColumn(frame.Field{Name: job.Label, Kind: frame.Int64}, labels)
	if err != nil {
		return nil, err
	}
	return c.inner.Fit(ctx, job)
}

func withBadChallengers(c *retrain.Config) {
	c.Trainer = constant{inner: c.Trainer, class: 1, from: c.Seed + 1}
	c.Triggers = []retrain.Trigger{retrain.Every(4 * day)}
}

func TestGateRejects(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), withBadChallengers)
	w.start(20 * rowsADay)
	w.run(26 * rowsADay)
	last := w.last()
	require.Equal(t, retrain.Rejected, last.Stage)
	require.Zero(t, last.Version, "what a gate rejects is not registered")
	require.Equal(t, retrain.Fail, last.Verdicts[0].Outcome)
	require.Less(t, last.Verdicts[0].High, 0.0, "the interval tells how bad it is")
	require.Contains(t, last.Reason, "no harm: accuracy by 0.1: accuracy differs by -0.")
	requireChampion(t, w, 1)
}

func TestShadowRejects(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		withBadChallengers(c)
		c.Gates = nil
	})
	w.start(20 * rowsADay)
	w.run(30 * rowsADay)
	last := w.retrainings()[1]
	require.Equal(t, retrain.Rejected, last.Stage)
	require.Equal(t, retrain.Fail, last.Verdicts[0].Outcome)
	require.Equal(t, registry.Rejected, versionState(t, w, last.Version))
	requireChampion(t, w, 1)
	require.Greater(t, w.accuracy(20*rowsADay, 30*rowsADay), 0.9, "no caller saw the shadow's answers")
}

func TestCanaryRollsBack(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		withBadChallengers(c)
		c.Gates = nil
		c.Rollout.Shadow, c.Rollout.RollbackMargin = 0, 0.05
		c.Rollout.Weights, c.Rollout.Bake = []float64{0.5}, 12*day
	})
	w.start(20 * rowsADay)
	w.run(34 * rowsADay)
	last := w.retrainings()[1]
	require.Equal(t, retrain.RolledBack, last.Stage)
	require.True(t, last.EndedAt.Before(at(33*rowsADay)), "harm is answered when it is shown, not when the bake ends")
	require.Equal(t, registry.Rejected, versionState(t, w, last.Version))
	requireChampion(t, w, 1)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, "rolled_back").Text, "version 2 is rolled back, version 1 answers all: mean loss")
}

func requireChampion(t *testing.T, w *world, version int64) {
	t.Helper()
	alias, _, err := w.stores.Registry.Alias(t.Context(), "churn", registry.Champion)
	require.NoError(t, err)
	require.Equal(t, version, alias.Version)
}

func versionState(t *testing.T, w *world, version int64) registry.State {
	t.Helper()
	v, err := w.stores.Registry.Version(t.Context(), "churn", version)
	require.NoError(t, err)
	return v.State
}
