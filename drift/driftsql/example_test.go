package driftsql_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/sqlstore"
)

// Checkpoints and alerts in a file, which outlive the process.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "driftsql")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	checkpoint := drift.Checkpoint{Model: "churn", Version: 3, Rev: 1, At: noon}
	changed := []drift.Alert{{ID: "a", Model: "churn", Version: 3, Source: drift.FeatureDrift, FiredAt: noon}} // from Monitor.Check

	store, err := driftsql.Open(ctx, "sqlite:"+filepath.Join(dir, "drift.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.Save(ctx, checkpoint, changed); err != nil {
		log.Fatal(err)
	}
	firing, err := store.Alerts(ctx, drift.AlertQuery{Model: "churn", FiringOnly: true})
	for _, alert := range firing {
		fmt.Println(alert.Source, alert.FiredAt.Format(time.TimeOnly), err)
	}
	// Output: feature_drift 12:00:00 <nil>
}

// The statements that a database administrator reviews and runs by hand.
func ExampleSchema() {
	steps, err := driftsql.Schema().Migrations(sqlstore.PostgreSQL, &sqlstore.Options{Schema: "ml"})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range steps {
		fmt.Println(step.Version, step.Name)
	}
	// Output:
	// 1 001_drift.sql
}
