package main

import (
	"context"
	"database/sql"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
)

const day = 24 * time.Hour

// newLoop is all of mlloop in this service: what to learn from which rows, when
// to learn again, and what a new model has to show before it answers anybody.
func newLoop(ctx context.Context, db *sql.DB, path string) (*retrain.Loop, *retrain.Stores, error) {
	stores, err := retrainsql.Open(ctx, "sqlite:"+path, nil)
	if err != nil {
		return nil, nil, err
	}
	loop, err := retrain.New(retrain.Config{
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
	return loop, stores, err
}
