package retrain_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
)

// TestPause serves and watches, but starts and moves nothing until Unpause.
func TestPause(t *testing.T) {
	w := challenged(t, retrain.Shadowing, nil)
	require.NoError(t, w.loop.Pause(t.Context(), "a holiday"))
	w.runDays(6)
	retraintest.RequireStage(t, w.loop, retrain.Shadowing)
	require.Equal(t, "a holiday", w.status().Paused)
	require.Equal(t, "paused: a holiday", retraintest.RequireEvent(t, w.loop, retrain.EventPaused).Text)
	require.NoError(t, w.loop.Settle(t.Context()))
	require.NoError(t, w.loop.Server().Flush(t.Context()))
	counts, err := w.stores.Serve.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 6*rowsADay, counts.Shadow, "it is asked on")
	require.NoError(t, w.loop.Unpause(t.Context()))
	require.NoError(t, w.loop.Unpause(t.Context()), "again is nothing")
	w.step(at(w.row).Add(time.Hour))
	retraintest.RequireStage(t, w.loop, retrain.Canarying)
	require.Empty(t, w.status().Paused)
	require.Equal(t, 1, w.count(retrain.EventUnpaused))
}

// TestPauseStartsNothing has a trigger and a person wait for Unpause.
func TestPauseStartsNothing(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) { c.Triggers = []retrain.Trigger{retrain.Every(day)} })
	w.start(20 * rowsADay)
	require.NoError(t, w.loop.Pause(t.Context(), ""))
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(3)
	require.Len(t, w.retrainings(), 1)
	require.Equal(t, "no reason given", w.status().Paused)
	require.NoError(t, w.loop.Unpause(t.Context()))
	w.runDays(1)
	require.Len(t, w.last().Causes, 2, "both are remembered")
}

// TestRollBackOfAChallenger gives a challenger up in each stage, and pauses.
func TestRollBackOfAChallenger(t *testing.T) {
	for _, stage := range []retrain.Stage{retrain.Shadowing, retrain.Canarying} {
		t.Run(string(stage), func(t *testing.T) {
			w := challenged(t, stage, nil)
			require.NoError(t, w.loop.RollBack(t.Context(), "customers complain"))
			last := retraintest.RequireStage(t, w.loop, retrain.RolledBack)
			require.Equal(t, "by hand: customers complain", last.Reason)
			require.Equal(t, serve.Route{Model: "churn", Primary: 1}, w.route(), "at once, without a step")
			require.Equal(t, registry.Rejected, versionState(t, w, 2))
			require.Equal(t, "rolled back: customers complain", w.status().Paused)
		})
	}
}

// TestRollBackOfAFit ends a fit that runs: the Trainer's context ends.
func TestRollBackOfAFit(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if job.Seed == 1 {
				return inner.Fit(ctx, job)
			}
			close(started)
			<-ctx.Done()
			close(ended)
			return nil, ctx.Err()
		})
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	require.NoError(t, w.loop.Step(t.Context(), at(w.row)), "a step waits for no fit")
	<-started
	require.NoError(t, w.loop.RollBack(t.Context(), "not now"))
	<-ended
	require.Equal(t, "by hand: not now", retraintest.RequireStage(t, w.loop, retrain.RolledBack).Reason)
}

// TestRollBackOfAChampion brings its predecessor back, and pauses.
func TestRollBackOfAChampion(t *testing.T) {
	w := challenged(t, retrain.Shadowing, nil)
	w.run(31 * rowsADay)
	retraintest.RequirePromoted(t, w.loop, 2)
	require.NoError(t, w.loop.RollBack(t.Context(), "customers complain"))
	requireChampion(t, w, 1)
	require.Equal(t, serve.Route{Model: "churn", Primary: 1}, w.route())
	require.NotEmpty(t, w.status().Paused)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventByHand).Text, "version 1 was made champion by hand in the place of version 2")
	w.runDays(1)
	require.EqualValues(t, 1, w.status().Champion)
	err := w.loop.RollBack(t.Context(), "again")
	require.ErrorIs(t, err, retrain.ErrConflict)
	require.ErrorContains(t, err, "version 1 has no predecessor on record: call Promote")
}

// TestPromote makes any version champion at once, and gives up what is under way.
func TestPromote(t *testing.T) {
	w := challenged(t, retrain.Canarying, nil)
	b, err := trainOn(t, w, 0, 10*rowsADay)
	require.NoError(t, err)
	third := register(t, w, b)
	require.ErrorIs(t, w.loop.Promote(t.Context(), 99, "a slip"), retrain.ErrNotFound)
	requireChampion(t, w, 1)
	require.NoError(t, w.loop.Promote(t.Context(), third, "it is the best"))
	requireChampion(t, w, third)
	require.Equal(t, serve.Route{Model: "churn", Primary: third}, w.route())
	require.Equal(t, retrain.Superseded, w.retrainings()[1].Stage)
	require.Equal(t, registry.Approved, versionState(t, w, third))
	w.runDays(1)
	require.Equal(t, third, w.status().Champion)
}

// TestRecommend decides and moves no alias: a person calls Promote.
func TestRecommend(t *testing.T) {
	w := challenged(t, retrain.Shadowing, func(c *retrain.Config) { c.Mode = retrain.Recommend })
	w.runDays(3)
	last := retraintest.RequireStage(t, w.loop, retrain.Recommended)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, "recommended").Text, "version 2 is recommended in the place of version 1: call Promote")
	requireChampion(t, w, 1)
	require.Equal(t, serve.Route{Model: "churn", Primary: 1}, w.route())
	require.Equal(t, registry.Candidate, versionState(t, w, 2), "it waits for a person")
	require.NoError(t, w.loop.Promote(t.Context(), last.Version, "agreed"))
	requireChampion(t, w, 2)
}

// TestWheelHonoursContexts has a step that takes long: a call that has to wait
// for it waits no longer than its context says.
func TestWheelHonoursContexts(t *testing.T) {
	began, over := make(chan struct{}), make(chan struct{})
	first := true
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Labels = labelFunc(func(ctx context.Context, _ time.Time, _ func(retrain.KnownLabel) error) error {
			if first {
				return nil
			}
			close(began)
			<-over
			return ctx.Err()
		})
	})
	w.start(20 * rowsADay)
	first = false
	stepped := make(chan error, 1)
	go func() { stepped <- w.loop.Step(t.Context(), at(w.row+1)) }()
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
	defer cancel()
	require.ErrorIs(t, w.loop.Pause(ctx, "now"), context.DeadlineExceeded)
	require.EqualValues(t, 1, w.status().Champion, "looking waits for nothing")
	close(over)
	require.NoError(t, <-stepped)
}

// TestStateConflict has two loops step at once: the one that read first cannot
// overwrite what the other decided.
func TestStateConflict(t *testing.T) {
	stores := retraintest.NewStores()
	s := newStream(t, 40*rowsADay, never)
	gate, passed := make(chan struct{}), make(chan struct{})
	var late *world
	hold := false
	late = newWorldOn(t, s, stores, func(c *retrain.Config) {
		c.Labels = labelFunc(func(context.Context, time.Time, func(retrain.KnownLabel) error) error {
			if hold {
				close(gate)
				<-passed
			}
			return nil
		})
	})
	late.start(20 * rowsADay)
	other := *stores
	other.Engine = retraintest.NewEngine()
	quick := newWorldOn(t, s, &other, nil)
	hold = true
	stepped := make(chan error, 1)
	go func() { stepped <- late.loop.Step(t.Context(), at(late.row+1)) }()
	<-gate
	require.NoError(t, quick.loop.Pause(t.Context(), "at the same time"))
	close(passed)
	err := <-stepped
	require.ErrorIs(t, err, retrain.ErrConflict)
	require.ErrorContains(t, err, "another process has written the state")
	hold = false
	require.NoError(t, late.loop.Step(t.Context(), at(late.row+2)))
	require.Equal(t, "at the same time", late.status().Paused)
}

// TestOvertakenStep has another process write a person's wish while a fit ends:
// the step that is refused for it is made again, and nobody is alarmed.
func TestOvertakenStep(t *testing.T) {
	stores := retraintest.NewStores()
	s := newStream(t, 40*rowsADay, never)
	between := func() {}
	late := newWorldOn(t, s, stores, func(c *retrain.Config) {
		c.Labels = labelFunc(func(context.Context, time.Time, func(retrain.KnownLabel) error) error {
			between()
			return nil
		})
	})
	late.start(20 * rowsADay)
	late.run(retrainable)
	require.NoError(t, late.loop.Retrain(t.Context(), "a person asked"))
	require.NoError(t, late.loop.Step(t.Context(), at(late.row)))
	require.NoError(t, late.loop.Settle(t.Context()))

	other := *stores
	other.Engine = retraintest.NewEngine()
	c := baseConfig(s, &other)
	c.Now = late.now
	follower, err := retrain.New(c)
	require.NoError(t, err)
	between = func() { require.NoError(t, follower.ResetFailures(t.Context())) }
	err = late.loop.Step(t.Context(), at(late.row+1))
	require.ErrorIs(t, err, retrain.ErrConflict)
	between = func() {}
	require.Empty(t, late.status().Failing)
	require.NoError(t, late.loop.Step(t.Context(), at(late.row+1)))
	require.Equal(t, retrain.Shadowing, late.retrainings()[1].Stage)
	require.Zero(t, late.count(retrain.EventStepFailing))
	require.NoError(t, follower.Close(t.Context()))
}
