package retrain_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
)

// trainerFunc makes a function a Trainer.
type trainerFunc func(ctx context.Context, job train.Job) (*bundle.Bundle, error)

func (f trainerFunc) Fit(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
	return f(ctx, job)
}

var errOutOfMemory = errors.New("out of memory")

// inStage returns a world whose retraining 1 is in the given stage, on a day
// that has just begun, and which has a version 3 that nobody asked for.
func inStage(t *testing.T, stage retrain.Stage) *world {
	w := newWorld(t, newStream(t, 40*rowsADay, never), nil)
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(map[retrain.Stage]int{retrain.Shadowing: 1, retrain.Canarying: 3}[stage])
	retraintest.RequireStage(t, w.loop, stage)
	models := registry.New(w.stores.Registry, w.stores.Artifacts, nil)
	b, _, err := models.Load(t.Context(), "churn/1")
	require.NoError(t, err)
	v, err := models.Register(t.Context(), "churn", b, nil)
	require.NoError(t, err)
	require.EqualValues(t, 3, v.Number)
	return w
}

// TestChampionMovedByHand moves the champion's alias while a challenger is on
// its way, in each stage and in each direction.
func TestChampionMovedByHand(t *testing.T) {
	for _, stage := range []retrain.Stage{retrain.Shadowing, retrain.Canarying} {
		t.Run(string(stage)+"/to a third version", func(t *testing.T) {
			w := inStage(t, stage)
			w.moveAlias(1, 3)
			w.runDays(1)
			require.Contains(t, retraintest.RequireEvent(t, w.loop, "superseded").Text, "version 3 was made champion by hand")
			require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventByHand).Text, "version 3 was made champion by hand in the place of version 1")
			require.Equal(t, retrain.Superseded, w.retrainings()[1].Stage)
			require.Equal(t, registry.Rejected, versionState(t, w, 2))
			require.Equal(t, serve.Route{Model: "churn", Primary: 3}, w.route())
		})
		t.Run(string(stage)+"/to the challenger", func(t *testing.T) {
			w := inStage(t, stage)
			w.moveAlias(1, 2)
			w.runDays(1)
			require.Equal(t, retrain.Promoted, w.retrainings()[1].Stage)
			require.Equal(t, "it was made champion by hand", w.retrainings()[1].Reason)
			require.Equal(t, registry.Approved, versionState(t, w, 2))
			require.Equal(t, serve.Route{Model: "churn", Primary: 2}, w.route())
		})
		t.Run(string(stage)+"/to nobody", func(t *testing.T) {
			w := inStage(t, stage)
			w.moveAlias(1, 0)
			w.runDays(2)
			retraintest.RequireStage(t, w.loop, retrain.Superseded)
			require.Equal(t, serve.Route{Model: "churn", Primary: 1}, w.route(), "who answered answers on")
			require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventByHand).Text, "nothing is begun until Promote or the alias names a champion")
			require.NoError(t, w.loop.Promote(t.Context(), 1, "put back"))
			requireChampion(t, w, 1)
		})
	}
	t.Run("between retrainings", func(t *testing.T) {
		w := inStage(t, retrain.Canarying)
		w.run(31 * rowsADay)
		retraintest.RequirePromoted(t, w.loop, 2)
		w.moveAlias(2, 1)
		w.runDays(1)
		require.EqualValues(t, 1, w.route().Primary, "what a person promotes is served")
		require.Len(t, w.retrainings(), 2)
	})
}

// TestChampionBeforeTheLoop takes over a model that has a champion and no
// retraining, and keeps it right.
func TestChampionBeforeTheLoop(t *testing.T) {
	s := newStream(t, 40*rowsADay, never)
	w := newWorld(t, s, nil)
	data, err := s.table.Slice(0, 20*rowsADay).Drop("seen_at", "customer")
	require.NoError(t, err)
	c := baseConfig(s, w.stores)
	b, err := c.Trainer.Fit(t.Context(), train.Job{Data: data, Label: "y", Features: c.Features, Now: at(0)})
	require.NoError(t, err)
	w.from(20 * rowsADay)
	models := registry.New(w.stores.Registry, w.stores.Artifacts, &registry.Options{Now: w.now})
	_, err = models.Register(t.Context(), "churn", b, nil)
	require.NoError(t, err)
	w.moveAlias(0, 1)

	require.NoError(t, w.loop.Step(t.Context(), at(w.row)))
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventByHand).Text, "version 1 is the champion: the registry says so")
	require.Empty(t, w.retrainings())
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(retrainable)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventWaiting).Text, "manual wanted, which waits until 2026-01-26T00:00:00Z", "the version's own making counts where its rows are not on record")
	require.Empty(t, w.retrainings())
	w.runDays(8)
	require.EqualValues(t, 1, retraintest.RequirePromoted(t, w.loop, 2).Champion)
}

// TestFirstFit waits for rows, tries again what failed, stops after MaxFailures
// and goes on after ResetFailures. No step fails of it.
func TestFirstFit(t *testing.T) {
	ctx, s := t.Context(), newStream(t, 40*rowsADay, never)
	var broken bool
	w := newWorld(t, s, func(c *retrain.Config) {
		inner := c.Trainer
		c.Policy.MaxFailures = 2
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if broken {
				return nil, errOutOfMemory
			}
			return inner.Fit(ctx, job)
		})
	})
	for d := range 2 {
		w.step(at(d * rowsADay))
		require.Contains(t, w.status().Waiting[0], "none of the source's")
		retraintest.RequireStage(t, w.loop, retrain.Fitting)
	}
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventWaiting).Text, "too few rows: none of the source's 0 rows has a label that is known by")
	require.Equal(t, 1, w.count(retrain.EventWaiting), "said once")
	require.Zero(t, w.status().Failures, "waiting is no failure")
	broken = true
	for d := range 2 {
		w.step(at((10 + d) * rowsADay))
		require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, "train: out of memory")
	}
	broken = false
	w.step(at(12 * rowsADay))
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventStopped).Text, "2 fits in a row failed: look at Retrainings, then call ResetFailures")
	require.Contains(t, w.status().Waiting[0], "ResetFailures")
	require.NoError(t, w.loop.ResetFailures(ctx))
	w.step(at(13 * rowsADay))
	require.EqualValues(t, 2, retraintest.RequirePromoted(t, w.loop, 1).Number)
	require.Empty(t, w.status().Waiting)
}

// TestTheTrainersWordIsFinal has a Trainer fail with an error of kind
// Unavailable: that retraining has failed. What is retried is what the loop itself
// reads and writes.
func TestTheTrainersWordIsFinal(t *testing.T) {
	full := false
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if full {
				return nil, fault.Errorf(retrain.ErrUnavailable, "the disk is full: make room")
			}
			return inner.Fit(ctx, job)
		})
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	full = true
	w.runDays(1)
	require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, "the Trainer failed: the disk is full: make room")
	require.Equal(t, 1, w.status().Failures)
}

// blockingTrainer tells that it was asked, and waits until its context ends.
type blockingTrainer struct{ started chan struct{} }

func (b blockingTrainer) Fit(ctx context.Context, _ train.Job) (*bundle.Bundle, error) {
	close(b.started)
	<-ctx.Done()
	return nil, ctx.Err()
}
