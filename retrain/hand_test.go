package retrain_test

import (
	"context"
	"errors"
	"testing"
	"time"

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
	w := newWorld(t, newStream(t, 40*rowsADay, 1<<30), nil)
	w.start(20 * rowsADay)
	w.run(22 * rowsADay)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	days := map[retrain.Stage]int{retrain.Shadowing: 23, retrain.Canarying: 25}[stage]
	w.run(days * rowsADay)
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
			w.run(w.row + rowsADay)
			require.Contains(t, retraintest.RequireEvent(t, w.loop, "rejected").Text, "version 3 was made champion by hand")
			require.Equal(t, retrain.Rejected, w.retrainings()[1].Stage)
			require.Equal(t, registry.Rejected, versionState(t, w, 2))
			require.Equal(t, serve.Route{Model: "churn", Primary: 3}, w.route())
		})
		t.Run(string(stage)+"/to the challenger", func(t *testing.T) {
			w := inStage(t, stage)
			w.moveAlias(1, 2)
			w.run(w.row + rowsADay)
			require.Equal(t, retrain.Promoted, w.retrainings()[1].Stage)
			require.Equal(t, registry.Approved, versionState(t, w, 2))
			require.Equal(t, serve.Route{Model: "churn", Primary: 2}, w.route())
		})
		t.Run(string(stage)+"/to nobody", func(t *testing.T) {
			w := inStage(t, stage)
			w.moveAlias(1, 0)
			w.run(w.row + 1)
			require.Equal(t, retrain.Rejected, w.retrainings()[1].Stage)
			last := retraintest.RequirePromoted(t, w.loop, 4)
			require.Zero(t, last.Champion, "a first fit again")
			require.Equal(t, serve.Route{Model: "churn", Primary: 4}, w.route())
		})
	}
	t.Run("between retrainings", func(t *testing.T) {
		w := inStage(t, retrain.Shadowing)
		w.run(30 * rowsADay)
		retraintest.RequirePromoted(t, w.loop, 2)
		w.moveAlias(2, 1)
		w.run(31 * rowsADay)
		require.EqualValues(t, 1, w.route().Primary, "what a person promotes is served")
		require.Len(t, w.retrainings(), 2)
	})
}

// TestChampionBeforeTheLoop takes over a model that has a champion and no
// retraining, and keeps it right.
func TestChampionBeforeTheLoop(t *testing.T) {
	s := newStream(t, 40*rowsADay, 1<<30)
	w := newWorld(t, s, nil)
	data, err := s.table.Slice(0, 20*rowsADay).Drop("seen_at", "customer")
	require.NoError(t, err)
	c := baseConfig(s, w.stores)
	b, err := c.Trainer.Fit(t.Context(), train.Job{Data: data, Label: "y", Features: c.Features, Now: at(0)})
	require.NoError(t, err)
	models := registry.New(w.stores.Registry, w.stores.Artifacts, nil)
	_, err = models.Register(t.Context(), "churn", b, nil)
	require.NoError(t, err)
	w.moveAlias(0, 1)

	w.row = 20 * rowsADay
	require.NoError(t, w.loop.Step(t.Context(), at(w.row)))
	require.Equal(t, []retrain.Cause{{Trigger: "first", Detail: "the registry had a champion"}}, retraintest.RequirePromoted(t, w.loop, 1).Causes)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(28 * rowsADay)
	require.EqualValues(t, 1, retraintest.RequirePromoted(t, w.loop, 2).Champion)
}

// TestFirstFit waits for rows, tries again what failed, stops after MaxFailures
// and goes on after Resume.
func TestFirstFit(t *testing.T) {
	ctx, s := t.Context(), newStream(t, 40*rowsADay, 1<<30)
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
	for day := range 2 {
		err := w.loop.Step(ctx, at(day*rowsADay))
		require.ErrorIs(t, err, retrain.ErrInvalid)
		require.ErrorContains(t, err, "there is no champion, and nothing to fit one on: none of the source's")
	}
	require.Empty(t, w.retrainings(), "waiting is no failure")
	broken = true
	for day := range 2 {
		require.ErrorContains(t, w.loop.Step(ctx, at((10+day)*rowsADay)), "the first fit failed: train: out of memory")
	}
	broken = false
	require.ErrorContains(t, w.loop.Step(ctx, at(13*rowsADay)), "2 fits in a row failed: look at Retrainings, then call Resume")
	require.NoError(t, w.loop.ResetFailures(ctx))
	require.NoError(t, w.loop.Step(ctx, at(13*rowsADay)))
	require.EqualValues(t, 2, retraintest.RequirePromoted(t, w.loop, 1).Number)
}

// TestWantOfAResource keeps a retraining going whose fit lacked a resource: it
// is neither failed nor counted.
func TestWantOfAResource(t *testing.T) {
	full := 0
	w := newWorld(t, newStream(t, 40*rowsADay, 1<<30), func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if full > 0 {
				full--
				return nil, fault.Errorf(retrain.ErrUnavailable, "the disk is full: make room")
			}
			return inner.Fit(ctx, job)
		})
	})
	w.start(20 * rowsADay)
	w.run(25 * rowsADay)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	full = 3
	err := w.loop.Step(t.Context(), at(w.row))
	require.ErrorIs(t, err, retrain.ErrUnavailable)
	require.ErrorContains(t, err, "the disk is full: make room")
	retraintest.RequireStage(t, w.loop, retrain.Fitting)
	w.run(31 * rowsADay)
	retraintest.RequirePromoted(t, w.loop, 2)
	require.Len(t, w.retrainings(), 2)
}

// TestPanics has every part that the service brings panic.
func TestPanics(t *testing.T) {
	panics := 0
	w := newWorld(t, newStream(t, 40*rowsADay, 1<<30), func(c *retrain.Config) {
		inner := c.Trainer
		c.Gates = append(c.Gates, panickingGate{&panics})
		c.Triggers = []retrain.Trigger{retrain.TriggerFunc(func(retrain.Situation) (*retrain.Cause, error) { panic("no trigger") })}
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if job.Seed == 2 {
				panic("no trainer")
			}
			return inner.Fit(ctx, job)
		})
	})
	w.start(20 * rowsADay)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.run(21 * rowsADay)
	require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, "panic: no trainer")
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked again"))
	w.run(22*rowsADay + 1)
	rejected := retraintest.RequireStage(t, w.loop, retrain.Rejected)
	require.Contains(t, rejected.Verdicts[2].Reason, "panic: no gate")
	require.Equal(t, 1, panics)
}

type panickingGate struct{ panics *int }

func (panickingGate) Name() string { return "panicking" }

func (g panickingGate) Judge(context.Context, retrain.Candidate) (retrain.Verdict, error) {
	*g.panics++
	panic("no gate")
}

// TestCancelledFit cancels a step in the middle of its fit; the next one waits
// for the same fit.
func TestCancelledFit(t *testing.T) {
	started, release, fits := make(chan struct{}, 9), make(chan struct{}), 0
	w := newWorld(t, newStream(t, 40*rowsADay, 1<<30), func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if job.Seed > 1 {
				fits++
				started <- struct{}{}
				<-release
			}
			return inner.Fit(ctx, job)
		})
	})
	w.start(20 * rowsADay)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		busy, stop := context.WithTimeout(ctx, time.Microsecond)
		defer stop()
		if err := w.loop.ResetFailures(busy); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Resume during a step: %v", err)
		}
		cancel()
	}()
	require.ErrorIs(t, w.loop.Step(ctx, at(21*rowsADay)), context.Canceled)
	retraintest.RequireStage(t, w.loop, retrain.Fitting)
	close(release)
	require.NoError(t, w.loop.Step(t.Context(), at(22*rowsADay)))
	last := retraintest.RequireStage(t, w.loop, retrain.Shadowing)
	require.Equal(t, at(21*rowsADay), last.StartedAt)
	require.Equal(t, 1, fits)
}

// blockingTrainer tells that it was asked, and waits until its context ends.
type blockingTrainer struct{ started chan struct{} }

func (b blockingTrainer) Fit(ctx context.Context, _ train.Job) (*bundle.Bundle, error) {
	close(b.started)
	<-ctx.Done()
	return nil, ctx.Err()
}
