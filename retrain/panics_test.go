package retrain_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
)

// TestPanicsOfAFit has what a fit calls panic: that fit has failed, the loop goes
// on, and the text says where it was without a whole stack.
func TestPanicsOfAFit(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Policy.Cooldown = -1
		c.Gates = append(c.Gates, panickingGate{})
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			if job.Seed == 2 {
				panic("no trainer")
			}
			return inner.Fit(ctx, job)
		})
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(1)
	reason := retraintest.RequireStage(t, w.loop, retrain.Failed).Reason
	require.Contains(t, reason, "panic: no trainer (in ")
	require.Contains(t, reason, "panics_test.go:")
	require.Less(t, len(reason), 300)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked again"))
	w.runDays(1)
	rejected := retraintest.RequireStage(t, w.loop, retrain.Rejected)
	require.Contains(t, rejected.Verdicts[2].Reason, "panic: no gate")
}

type panickingGate struct{}

func (panickingGate) Name() string { return "panicking" }

func (panickingGate) Judge(context.Context, retrain.Candidate) (retrain.Verdict, error) {
	panic("no gate")
}

// TestPanicsOfAStep has what a step and a delivery call panic: an error that is
// told, and nothing else stops.
func TestPanicsOfAStep(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Labels = labelFunc(func(context.Context, time.Time, func(retrain.KnownLabel) error) error { panic("no labels") })
		c.Triggers = []retrain.Trigger{
			retrain.TriggerFunc(func(retrain.Situation) (*retrain.Cause, error) { panic("no trigger") }),
			retrain.Every(day),
		}
		c.Alerts = []alert.Sender{alert.Func("phone", func(context.Context, alert.Message) error { panic("no phone") })}
	})
	w.start(20 * rowsADay)
	w.from(retrainable)
	for i := range 3 {
		err := w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute))
		require.ErrorContains(t, err, "labels: source of labels: panic: no labels")
		require.NoError(t, w.loop.Settle(t.Context()))
		require.NoError(t, w.loop.Deliver(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute)))
	}
	status := w.status()
	require.Len(t, status.Failing, 2)
	require.Equal(t, "Triggers[0]", status.Failing[0].Part)
	require.Contains(t, status.Failing[0].Error, "no trigger")
	require.Contains(t, status.Failing[1].Error, "no labels")
	require.NotEmpty(t, status.Senders[0].LastError)
	require.Contains(t, status.Senders[0].LastError, "no phone")
	require.EqualValues(t, 1, w.last().Number, "the other trigger has begun a retraining")
}

// TestPanickingLoader has a challenger whose loading panics.
func TestPanickingLoader(t *testing.T) {
	var loads atomic.Int64
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			b, err := inner.Fit(ctx, job)
			if err != nil || job.Seed == 1 {
				return b, err
			}
			return inFlavor(b, "shop.model", job.Now)
		})
		c.Flavors = map[string]serve.Loader{"shop.model": func(*bundle.Bundle) (serve.Predictor, error) {
			loads.Add(1)
			panic("no model")
		}}
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(1)
	require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, "panic: no model")
	require.Positive(t, loads.Load())
	models := retraintest.RequireStage(t, w.loop, retrain.Failed)
	require.Zero(t, models.Version)

	b, err := trainOn(t, w, 0, 10*rowsADay)
	require.NoError(t, err)
	other, err := inFlavor(b, "shop.model", at(w.row))
	require.NoError(t, err)
	second := register(t, w, other)
	require.ErrorContains(t, w.loop.Promote(t.Context(), second, "a person wants it"), "panic: no model")
	w.moveAlias(1, second)
	require.ErrorContains(t, w.loop.Step(t.Context(), at(w.row)), "no model")
	require.Contains(t, []int64{0, 1}, w.ask(w.row), "the champion that was answers on")
}
