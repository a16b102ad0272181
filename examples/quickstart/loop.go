package main

import (
	"database/sql"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
)

const day = 24 * time.Hour

// newLoop is all that mlloop is told: what to learn from which rows, when to
// learn again, and what a new model has to show before it answers anybody.
func newLoop(db *sql.DB, stores *retrain.Stores) (*retrain.Loop, error) {
	return retrain.New(retrain.Config{
		Model:  "churn",
		Stores: stores,
		Data:   retrain.Query(db, "SELECT * FROM customers WHERE seen_at >= ?", retrain.AgoMilli(120*day)),
		Time:   "seen_at", Key: "customer_id", Label: "churned", LabelDelay: 30 * day,
		Features: feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan", "region")},
		Trainer:  train.MLP{Hidden: []int{16}},
		Gates:    []retrain.Gate{retrain.NotWorse("auc", 0.01), retrain.SmokeTest()},
		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("auc", 0.03), retrain.Cron("0 3 * * 1")},
		Rollout:  retrain.ShadowThenCanary(0.05, 0.25, 1),
	})
}
