package main

import (
	"database/sql"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
)

const day = 24 * time.Hour

// newLoop is all that mlloop is told: what to learn from which rows, where the
// truth about predictions comes from, when to learn again, and what a new model
// has to show before it answers anybody.
func newLoop(db *sql.DB, stores *retrain.Stores) (*retrain.Loop, error) {
	return retrain.New(configure(db, stores))
}

func configure(db *sql.DB, stores *retrain.Stores) retrain.Config {
	return retrain.Config{
		Model:  "churn",
		Stores: stores,
		Data:   retrain.Query(db, "SELECT c.*, churned FROM customers c JOIN outcomes USING (customer_id) WHERE seen_at >= ?", retrain.AgoMilli(180*day)),
		Time:   "seen_at", Entity: "customer_id", Label: "churned", LabelDelay: 30 * day,
		Labels:   retrain.LabelQuery(db, "SELECT customer_id, churned, known_at FROM outcomes WHERE known_at > ?", retrain.SinceMilli{}),
		Features: feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan", "region")},
		Trainer:  train.MLP{Hidden: []int{16}},
		Gates:    []retrain.Gate{retrain.NonInferior("log_loss", 0.05), retrain.SmokeTest()},
		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("auc", 0.03), retrain.Cron("0 3 * * 1")},
		Rollout:  retrain.ShadowThenCanary(0.05, 0.25, 1),
	}
}
