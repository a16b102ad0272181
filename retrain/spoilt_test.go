package retrain_test

import (
	"context"
	"errors"
	"sync/atomic"
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

// spoilt is a classifier before whose answers something happens.
type spoilt struct {
	serve.Classifier
	before func(ctx context.Context) error
}

func (s spoilt) Predict(ctx context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
	if err := s.before(ctx); err != nil {
		return nil, err
	}
	return s.Classifier.Predict(ctx, in)
}

// spoilChallengers has before happen ahead of each answer of every version but
// the first champion.
func spoilChallengers(before func(ctx context.Context) error) map[string]serve.Loader {
	var champion atomic.Pointer[string]
	return map[string]serve.Loader{train.ClassifierFlavor: func(b *bundle.Bundle) (serve.Predictor, error) {
		p, err := serve.NewClassifier(b)
		if err != nil {
			return nil, err
		}
		digest := b.Digest()
		champion.CompareAndSwap(nil, &digest)
		if *champion.Load() == digest {
			return p, nil
		}
		return spoilt{p.(serve.Classifier), before}, nil
	}}
}

// challenged returns a world in which a person has asked for a retraining that
// has come to its first stage after the fit.
func challenged(t *testing.T, stage retrain.Stage, change func(*retrain.Config)) *world {
	t.Helper()
	w := newWorld(t, newStream(t, 50*rowsADay, never), func(c *retrain.Config) {
		c.Rollout.Weights = []float64{0.5}
		if stage == retrain.Canarying {
			c.Rollout.Shadow = 0
		}
		if change != nil {
			change(c)
		}
	})
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.step(at(w.row))
	retraintest.RequireStage(t, w.loop, stage)
	return w
}

// refuseChallengers loads the first bundle that it sees, and no other.
func refuseChallengers() map[string]serve.Loader {
	var champion atomic.Pointer[string]
	return map[string]serve.Loader{train.ClassifierFlavor: func(b *bundle.Bundle) (serve.Predictor, error) {
		digest := b.Digest()
		if champion.CompareAndSwap(nil, &digest); *champion.Load() != digest {
			return nil, errors.New("this machine is too small for it")
		}
		return serve.NewClassifier(b)
	}}
}

// trainOn fits a model on the stream's rows as a person would by hand.
func trainOn(t *testing.T, w *world, from, to int) (*bundle.Bundle, error) {
	t.Helper()
	data, err := w.stream.table.Slice(from, to).Drop("seen_at", "customer")
	require.NoError(t, err)
	c := baseConfig(w.stream, w.stores)
	return c.Trainer.Fit(t.Context(), train.Job{Data: data, Label: "y", Features: c.Features, Now: at(to)})
}

// register puts a bundle into the registry as a person would, and returns its version.
func register(t *testing.T, w *world, b *bundle.Bundle) int64 {
	t.Helper()
	models := registry.New(w.stores.Registry, w.stores.Artifacts, &registry.Options{Now: w.now})
	v, err := models.Register(t.Context(), "churn", b, nil)
	require.NoError(t, err)
	return v.Number
}

// breakable is a Trainer that fails while it is broken.
type breakable struct {
	train.Trainer
	broken *bool
}

func (b breakable) Fit(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
	if *b.broken {
		return nil, errOutOfMemory
	}
	return b.Trainer.Fit(ctx, job)
}
