package main

import (
	"log/slog"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
)

const (
	model       = "electricity"
	day         = 24 * time.Hour
	windowRows  = 4356 // a model is fitted on the latest 90 days and 18 hours of labels
	monitorRows = 336  // a week is compared with the reference
	holdout     = 3 * day
)

// trainer is the one kind of model, for the loop and for every calendar that it
// is compared with.
func trainer() train.Trainer {
	return train.MLP{
		Hidden: []int{32, 16}, Epochs: 8, Batch: 64, LearningRate: 0.01, Decay: 0.75, WeightDecay: 0.1,
		Patience: 4, Validation: 0.05,
	}
}

func features() feature.Pipeline { return feature.Pipeline{feature.Standardize()} }

// configure is the whole loop. Its settings were chosen on rows 0..8,711 alone;
// README.md says how.
func configure(m *market, stores *retrain.Stores, c *clock, seed uint64) retrain.Config {
	return retrain.Config{
		Model: model, Stores: stores, Data: latestWindow(m),
		Time: timeColumn, Label: labelColumn, LabelDelay: labelDelay * halfHour, Inputs: inputs,
		Features: features(), Trainer: trainer(),
		Holdout:  holdout,
		Gates:    []retrain.Gate{retrain.SmokeTest(), retrain.NoHarm("accuracy", 0.15)},
		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("accuracy", 0.10), retrain.Every(28 * day)},
		Policy:   retrain.Policy{Cooldown: 14 * day, Per: 29 * day},
		Rollout: retrain.Rollout{
			Shadow: day, ShadowRate: -1, Metric: "accuracy", Margin: 0.25, MinLabels: 30,
			Weights: []float64{0.75}, Bake: day, Patience: 3, Inconclusive: retrain.GoOn,
		},
		Inconclusive: retrain.GoOn,
		Drift:        &drift.Options{Window: monitorRows},
		Retention:    retrain.Retention{Age: -1}, // the figures are read from the whole log
		Seed:         seed, Now: c.now,
		Lease:  time.Second,                   // nobody else steps a replay, and one that was killed is to go on soon
		Logger: slog.New(slog.DiscardHandler), // the replay shows the loop's events itself
	}
}
