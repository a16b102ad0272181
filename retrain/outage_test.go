package retrain_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

var errRefused = errors.New("dial tcp 10.0.0.5:5432: connect: connection refused")

// awaySource is a source that can be away, and counts how often it is asked.
type awaySource struct {
	retrain.Source
	away  bool
	asked int
}

func (s *awaySource) Rows(ctx context.Context, now time.Time) (*frame.Table, error) {
	s.asked++
	if s.away {
		return nil, errRefused
	}
	return s.Source.Rows(ctx, now)
}

// TestSourceOutage takes the source away for six minutes, and for three days:
// the retraining waits for it, asks at growing intervals and goes on by itself.
func TestSourceOutage(t *testing.T) {
	for name, outage := range map[string]struct {
		length, step time.Duration
		asked        int // at most, during it
	}{
		"six minutes": {6 * time.Minute, time.Minute, 4},
		"three days":  {3 * day, 10 * time.Minute, 3*24 + 10},
	} {
		t.Run(name, func(t *testing.T) {
			source := new(awaySource)
			w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
				source.Source, c.Data = c.Data, source
				c.Rollout = retrain.Rollout{}
			})
			w.start(20 * rowsADay)
			w.run(retrainable)
			require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
			source.away, source.asked = true, 0
			now := at(w.row)
			for end := now.Add(outage.length); now.Before(end); now = now.Add(outage.step) {
				require.NoError(t, w.loop.Step(t.Context(), now))
				require.NoError(t, w.loop.Settle(t.Context()))
			}
			retraintest.RequireStage(t, w.loop, retrain.Fitting)
			require.Positive(t, source.asked)
			require.LessOrEqual(t, source.asked, outage.asked)
			require.Zero(t, w.status().Failures)
			require.Contains(t, w.status().Waiting[0], "connection refused")
			require.Equal(t, 1, w.count(retrain.EventWaiting), "said once")
			source.away = false
			for end := now.Add(2 * time.Hour); now.Before(end); now = now.Add(outage.step) {
				require.NoError(t, w.loop.Step(t.Context(), now))
				require.NoError(t, w.loop.Settle(t.Context()))
			}
			retraintest.RequirePromoted(t, w.loop, 2)
			require.Empty(t, w.status().Waiting)
		})
	}
}

// TestFailingPartIsTold has the source of labels fail for an hour of steps: that
// part is told of once, counted and shown, the others go on, and a person's move
// of the alias moves the traffic all the same.
func TestFailingPartIsTold(t *testing.T) {
	away := false
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Labels = labelFunc(func(context.Context, time.Time, func(retrain.KnownLabel) error) error {
			if away {
				return errRefused
			}
			return nil
		})
	})
	w.start(20 * rowsADay)
	w.run(21 * rowsADay)
	b, err := trainOn(t, w, 0, 10*rowsADay)
	require.NoError(t, err)
	second := register(t, w, b)
	w.moveAlias(1, second)
	away = true
	for i := range 60 {
		err := w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute))
		require.ErrorContains(t, err, "labels: source of labels: dial tcp")
	}
	require.Equal(t, second, w.route().Primary)
	require.Equal(t, second, w.status().Champion)
	require.NoError(t, w.loop.Server().Ready(), "a failing step takes no replica out")
	failing := w.status().Failing
	require.Len(t, failing, 1)
	require.Equal(t, 60, failing[0].Count)
	require.Equal(t, at(w.row), failing[0].Since)
	require.Contains(t, w.status().LastError, "connection refused")
	require.Equal(t, 1, w.count(retrain.EventStepFailing))
	away = false
	require.NoError(t, w.loop.Step(t.Context(), at(w.row+4)))
	require.Empty(t, w.status().Failing)
	require.Empty(t, w.status().LastError)
	require.Equal(t, 1, w.count(retrain.EventStepRecovered))
}

// labelFunc makes a function a LabelSource.
type labelFunc func(ctx context.Context, since time.Time, yield func(retrain.KnownLabel) error) error

func (f labelFunc) Labels(ctx context.Context, since time.Time, yield func(retrain.KnownLabel) error) error {
	return f(ctx, since, yield)
}

// frailServe is a log that cannot be read while it is away.
type frailServe struct {
	serve.Store
	away *bool
}

func (s frailServe) Predictions(ctx context.Context, q serve.PredictionQuery) ([]serve.Prediction, error) {
	if *s.away {
		return nil, fault.Errorf(fault.Unavailable, "the disk is slow")
	}
	return s.Store.Predictions(ctx, q)
}

// TestLogOutage has the prediction log unreadable for a while: nothing is judged
// on what is not there, and everything is read once it is back.
func TestLogOutage(t *testing.T) {
	away := false
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		stores := *c.Stores
		stores.Serve = frailServe{stores.Serve, &away}
		c.Stores = &stores
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(1)
	retraintest.RequireStage(t, w.loop, retrain.Shadowing)
	away = true
	require.ErrorContains(t, w.loop.Step(t.Context(), at(w.row)), "watch: the disk is slow")
	away = false
	w.run(31 * rowsADay)
	retraintest.RequirePromoted(t, w.loop, 2)
}

// frailRetrain fails once when a retraining is recorded as promoted.
type frailRetrain struct {
	retrain.Store
	failed *bool
}

func (s frailRetrain) PutRetraining(ctx context.Context, r retrain.Retraining) error {
	if r.Stage == retrain.Promoted && !*s.failed {
		*s.failed = true
		return fault.Errorf(fault.Unavailable, "the disk is full")
	}
	return s.Store.PutRetraining(ctx, r)
}

// TestFirstFitIsMadeOnce cuts the first fit's promotion off before its record:
// the next FitFirst carries it out and fits nothing anew.
func TestFirstFitIsMadeOnce(t *testing.T) {
	failed, fits := false, 0
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		stores := *c.Stores
		stores.Retrain = frailRetrain{stores.Retrain, &failed}
		c.Stores = &stores
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			fits++
			return inner.Fit(ctx, job)
		})
	})
	w.from(20 * rowsADay)
	history := w.stream.table.Slice(0, w.row)
	require.ErrorContains(t, w.loop.FitFirst(t.Context(), at(w.row), history), "the disk is full")
	require.NoError(t, w.loop.FitFirst(t.Context(), at(w.row), history))
	w.runDays(1)
	require.Len(t, w.retrainings(), 1)
	require.Equal(t, 1, fits)
	retraintest.RequirePromoted(t, w.loop, 1)
	retraintest.RequireNoEvent(t, w.loop, retrain.EventByHand)
}

// awayServe is a serving log whose routes can be away.
type awayServe struct {
	serve.Store
	away *bool
}

func (s awayServe) Route(ctx context.Context, model string) (serve.Route, error) {
	if *s.away {
		return serve.Route{}, fault.Errorf(fault.Unavailable, "%w", errRefused)
	}
	return s.Store.Route(ctx, model)
}

// awayState is a store whose states can be away.
type awayState struct {
	retrain.Store
	away *bool
}

func (s awayState) State(ctx context.Context, model string) (retrain.State, error) {
	if *s.away {
		return retrain.State{}, fault.Errorf(fault.Unavailable, "%w", errRefused)
	}
	return s.Store.State(ctx, model)
}

// TestOutageIsOver takes the stores of a process away that leads: it follows what
// it knows meanwhile. Once they are back nothing is told as failing.
func TestOutageIsOver(t *testing.T) {
	away := false
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		stores := *c.Stores
		stores.Serve, stores.Retrain = awayServe{stores.Serve, &away}, awayState{stores.Retrain, &away}
		c.Stores = &stores
	})
	w.start(20 * rowsADay)
	w.run(21 * rowsADay)
	away = true
	require.Error(t, w.loop.Step(t.Context(), at(w.row)))
	away = false
	require.NoError(t, w.loop.Step(t.Context(), at(w.row)))
	require.Empty(t, w.status().Failing)
}
