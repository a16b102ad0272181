package retrain_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train"
)

// nextLife begins another life on what this one leaves, under a configuration
// that is changed.
func (w *world) nextLife(change func(c *retrain.Config)) *world {
	w.t.Helper()
	require.NoError(w.t, w.loop.Server().Drain(w.t.Context()))
	require.NoError(w.t, w.loop.Server().Flush(w.t.Context()))
	stores := *w.stores
	stores.Engine = w.stores.Engine.(*retraintest.Engine).Restart()
	next := newWorldOn(w.t, w.stream, &stores, change)
	_, err := next.loop.Open(w.t.Context())
	require.NoError(w.t, err)
	next.from(w.row)
	next.told = w.told
	return next
}

// TestRolloutKeepsItsConfiguration begins a rollout under one configuration and
// goes on with it in a life that has another: an event tells what changed, the
// rollout is the one that it began as, and the next retraining has the new one.
func TestRolloutKeepsItsConfiguration(t *testing.T) {
	w := inStage(t, retrain.Shadowing)
	before := w.last()
	require.NotEmpty(t, before.Config)
	require.Zero(t, w.count(retrain.EventConfig), "the first one is no change")
	next := w.nextLife(func(c *retrain.Config) {
		c.Rollout.Weights, c.Rollout.Bake, c.Rollout.Metric = []float64{0.9}, 20*day, "log_loss"
		c.Gates = nil
		c.Trainer = train.MLP{Hidden: []int{5}, Epochs: 12, LearningRate: 0.05}
	})
	next.runDays(2)
	text := retraintest.RequireEvent(t, next.loop, retrain.EventConfig).Text
	for _, part := range []string{
		"and was " + before.Config, "gates[0].name: \"no harm: accuracy by 0.1\" → none", "rollout.bake: \"24h0m0s\" → \"480h0m0s\"",
		"rollout.weights[0]: 0.25 → 0.9", "rollout.weights[1]: 0.5 → none", "rollout.metric: \"accuracy\" → \"log_loss\"", "trainer.Hidden[0]: 4 → 5",
		"retraining churn/1, which is under way, keeps the gates and the rollout that it began with",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "label_delay", "what did not change is not told")
	canary := retraintest.RequireStage(t, next.loop, retrain.Canarying)
	require.InDelta(t, 0.25, next.route().Share, 1e-9)
	next.runDays(1)
	require.InDelta(t, 0.5, next.route().Share, 1e-9)
	next.runDays(4)
	done := retraintest.RequirePromoted(t, next.loop, canary.Version)
	require.Equal(t, before.Config, done.Config)
	require.NoError(t, next.loop.Retrain(t.Context(), "a person asked"))
	next.runDays(2)
	after := next.last()
	require.NotEqual(t, before.Config, after.Config)
	raw, err := w.stores.Retrain.Config(t.Context(), after.Config)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"weights":[0.9]`)
	require.Equal(t, 1, next.count(retrain.EventConfig))

	same := next.nextLife(func(c *retrain.Config) {
		c.Rollout.Weights, c.Rollout.Bake, c.Rollout.Metric = []float64{0.9}, 20*day, "log_loss"
		c.Gates = nil
		c.Trainer = train.MLP{Hidden: []int{5}, Epochs: 12, LearningRate: 0.05}
	})
	same.runDays(1)
	require.Equal(t, 1, same.count(retrain.EventConfig), "a restart is no change")
}

// endless is a Trainer whose fits do not end by themselves.
type endless struct{}

func (endless) Fit(ctx context.Context, _ train.Job) (*bundle.Bundle, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestFitTimeoutOverLives restarts the process in the middle of a fit again and
// again: the time of all its lives together counts.
func TestFitTimeoutOverLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, func(c *retrain.Config) { c.Trainer, c.FitTimeout = endless{}, time.Hour })
		defer f.close()
		for range 7 {
			time.Sleep(10 * time.Minute)
			f.kill(f.processes[len(f.processes)-1])
			f.start()
		}
		require.Positive(t, f.count(string(retrain.Failed)), "%v", f.texts())
		require.Contains(t, f.texts()[1], "took longer than Config.FitTimeout, 1h0m0s, and was cancelled")
	})
}

// TestFitFirstInManyProcesses: of replicas that all begin with FitFirst one fits,
// and all return once there is a champion.
func TestFitFirstInManyProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := retraintest.NewStores()
		s := newStream(t, 20*rowsADay, never)
		done := make(chan error, 3)
		var loops []*retrain.Loop
		for range 3 {
			loop, err := retrain.New(baseConfig(s, retraintest.AnotherProcess(stores)))
			require.NoError(t, err)
			loops = append(loops, loop)
			go func() { done <- loop.FitFirst(t.Context(), at(20*rowsADay), s.table) }()
		}
		for range loops {
			require.NoError(t, <-done)
		}
		for _, loop := range loops {
			require.Equal(t, []string{"churn"}, loop.Server().Models())
			require.NoError(t, loop.Close(t.Context()))
		}
		versions, err := stores.Registry.Versions(t.Context(), "churn", 0, 10)
		require.NoError(t, err)
		require.Len(t, versions, 1)
	})
}
