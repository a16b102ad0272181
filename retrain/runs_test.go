package retrain_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train"
)

// inBubble runs a loop by its own clock in a bubble, from day 20 on, until the
// test is over.
func inBubble(t *testing.T, change func(*retrain.Config), test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		offset := time.Until(at(20 * rowsADay))
		w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
			c.Now = func() time.Time { return time.Now().Add(offset) }
			change(c)
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.loop.Run(ctx) }()
		synctest.Wait()
		test(t, w)
		stop()
		require.NoError(t, <-done)
	})
}

// slowFit is a Trainer that takes its time.
func slowFit(inner train.Trainer, takes time.Duration) train.Trainer {
	return trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
		select {
		case <-time.After(takes):
			return inner.Fit(ctx, job)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
}

// TestRunStepsWhenAFitEnds looks at a fit as soon as it has ended, not an hour
// later, and steps go on while it runs.
func TestRunStepsWhenAFitEnds(t *testing.T) {
	inBubble(t, func(c *retrain.Config) {
		c.Interval = time.Hour
		c.Trainer = slowFit(c.Trainer, 150*time.Minute)
	}, func(t *testing.T, w *world) {
		time.Sleep(149 * time.Minute)
		retraintest.RequireStage(t, w.loop, retrain.Fitting)
		require.Equal(t, at(20*rowsADay).Add(2*time.Hour), w.status().SteppedAt, "no step waits for it")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, at(20*rowsADay).Add(150*time.Minute), retraintest.RequirePromoted(t, w.loop, 1).EndedAt)
	})
}

// TestFitTimeout cancels a fit that takes too long: its context ends, and the
// reason names the setting.
func TestFitTimeout(t *testing.T) {
	inBubble(t, func(c *retrain.Config) {
		c.FitTimeout = 90 * time.Minute
		c.Policy.MaxFailures = 1
		c.Trainer = slowFit(c.Trainer, 1000*day)
	}, func(t *testing.T, w *world) {
		time.Sleep(89 * time.Minute)
		retraintest.RequireStage(t, w.loop, retrain.Fitting)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, "the fit took longer than Config.FitTimeout, 1h30m0s, and was cancelled")
		retraintest.RequireEvent(t, w.loop, retrain.EventStopped)
	})
}

// TestRunGoesOnWhileStepsFail steps and serves on while a source of labels is
// away, and delivers what it has to tell.
func TestRunGoesOnWhileStepsFail(t *testing.T) {
	in := &inbox{name: "log"}
	inBubble(t, func(c *retrain.Config) {
		c.Labels = labelFunc(func(context.Context, time.Time, func(retrain.KnownLabel) error) error { return errRefused })
		c.Alerts = []alert.Sender{in}
	}, func(t *testing.T, w *world) {
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		require.GreaterOrEqual(t, w.status().Failing[0].Count, 59)
		require.Equal(t, []string{"promoted", "step.failing"}, in.kinds())
		require.Contains(t, []int64{0, 1}, w.ask(5))
	})
}
