package retrain_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

// withThirdClass labels rows of x above 0.5 with 2, from the given row on.
func withThirdClass(t *testing.T, s *stream, from int) {
	t.Helper()
	labels, err := s.table.Values("y")
	require.NoError(t, err)
	for i := from; i < len(labels); i++ {
		if s.table.Row(i).Get("x").Float() > 0.5 {
			labels[i] = frame.IntValue(2)
		}
	}
	rest, err := s.table.Drop("y")
	require.NoError(t, err)
	s.table, err = rest.WithColumn(frame.Field{Name: "y", Kind: frame.Int64}, labels)
	require.NoError(t, err)
}

// TestNewClass has a class appear that the champion does not know: its labels
// are errors of the champion, and a challenger that knows them takes over.
func TestNewClass(t *testing.T) {
	s := newStream(t, 60*rowsADay, never)
	withThirdClass(t, s, 22*rowsADay)
	w := newWorld(t, s, func(c *retrain.Config) {
		c.Data = s.recent(14)
		c.Triggers = []retrain.Trigger{retrain.Every(8 * day)}
		c.Policy.Cooldown = day
	})
	w.tells = func(from, to int) { // those that no version predicts are refused, and reported
		var labels []serve.LabelInput
		for row := from; row < to; row++ {
			labels = append(labels, serve.LabelInput{ID: rowID(row), Value: frame.IntValue(w.label(row))})
		}
		_, err := w.loop.Server().Label(t.Context(), "churn", labels)
		require.NoError(t, err)
	}
	w.start(20 * rowsADay)
	w.run(54 * rowsADay)
	gain := 0.0 // the largest over a champion
	for _, r := range w.retrainings() {
		require.NotEqual(t, retrain.Failed, r.Stage, r.Reason)
		if r.Stage == retrain.Promoted && r.Champion > 0 {
			gain = max(gain, r.Verdicts[0].Diff)
		}
	}
	require.Positive(t, gain)
	require.Greater(t, w.accuracy(50*rowsADay, 54*rowsADay), 0.85)
}

// TestFlavors runs a loop on models of a kind that only the service can load.
func TestFlavors(t *testing.T) {
	own := 0
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			b, err := inner.Fit(ctx, job)
			if err != nil {
				return nil, err
			}
			return inFlavor(b, "shop.model", job.Now)
		})
		c.Flavors = map[string]serve.Loader{"shop.model": func(b *bundle.Bundle) (serve.Predictor, error) {
			own++
			return serve.NewClassifier(b)
		}}
		c.Rollout = retrain.Rollout{}
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(1)
	retraintest.RequirePromoted(t, w.loop, 2)
	require.Positive(t, own)
}

// inFlavor packs a bundle's parts under another flavor.
func inFlavor(b *bundle.Bundle, flavor string, now time.Time) (*bundle.Bundle, error) {
	parts := make(map[string][]byte)
	for _, name := range []string{bundle.ModelPart, bundle.WeightsPart, bundle.FeaturesPart, bundle.ProfilePart, bundle.EvaluationPart} {
		data, err := b.ReadFile(name)
		if err != nil {
			return nil, err
		}
		parts[name] = data
	}
	return bundle.New(bundle.Spec{Flavor: flavor, CreatedAt: now, Signature: b.Signature()}, parts)
}

// TestUnusableBundles names what a Trainer's bundle lacks.
func TestUnusableBundles(t *testing.T) {
	for want, change := range map[string]func(b *bundle.Bundle, now time.Time) (*bundle.Bundle, error){
		`no loader for flavor "shop.model": add one to`:      func(b *bundle.Bundle, now time.Time) (*bundle.Bundle, error) { return inFlavor(b, "shop.model", now) },
		"the Trainer returned neither a bundle nor an error": func(*bundle.Bundle, time.Time) (*bundle.Bundle, error) { return nil, nil },
	} {
		w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
			inner := c.Trainer
			c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
				b, err := inner.Fit(ctx, job)
				if err != nil || job.Seed == 1 {
					return b, err
				}
				return change(b, job.Now)
			})
		})
		w.start(20 * rowsADay)
		w.run(retrainable)
		require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
		w.run(w.row + 1)
		require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, want)
		for run, err := range tracking.New(w.stores.Tracking, nil).AllRuns(t.Context(), tracking.RunQuery{}) {
			require.NoError(t, err)
			require.NotEqual(t, tracking.Running, run.Status, "the run of a failed fit has ended")
		}
		w.runDays(1) // the loop itself goes on
	}
}
