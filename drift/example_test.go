package drift_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftmem"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// ages makes n rows of customers of about the age.
func ages(n int, age float64) []frame.Row {
	rng := rand.New(rand.NewPCG(1, 1))
	schema := frame.Schema{{Name: "age", Kind: frame.Float64}}
	rows := make([]frame.Row, n)
	for i := range rows {
		rows[i] = frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(age + 8*rng.NormFloat64())}}
	}
	return rows
}

func ExampleMonitor() {
	fitted := ages(4000, 40)
	table, _ := frame.FromRows(fitted[0].Schema, fitted)
	reference, _ := profile.New(table, nil, nil) // travels in the model's bundle

	monitor, err := drift.New(drift.Config{Model: "churn", Version: 3, Reference: reference}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for i, row := range ages(1000, 55) { // the customers are older than they were
		now := noon.Add(time.Duration(i) * time.Second)
		monitor.Observe(frame.Observation{Model: "churn", Version: 3, Status: frame.Answered, Row: row, Time: now})
	}
	for _, alert := range monitor.Check(time.Now()) { // every now and then
		fmt.Println(alert.Source, alert.ColumnNames(), alert.FiredAt.Format(time.TimeOnly))
	}
	// Output: feature_drift [age] 12:03:05
}

func ExampleMonitor_MarshalBinary() {
	fitted := ages(4000, 40)
	table, _ := frame.FromRows(fitted[0].Schema, fitted)
	reference, _ := profile.New(table, nil, nil)
	config := drift.Config{Model: "churn", Version: 3, Reference: reference}
	ctx, store := context.Background(), driftmem.New()

	monitor, _ := drift.New(config, nil)
	state, _ := monitor.MarshalBinary()
	now := time.Now()
	_ = store.Save(ctx, drift.Checkpoint{Model: "churn", Version: 3, Rev: 1, At: now, State: state}, monitor.Check(now))

	// In the next process:
	checkpoint, _ := store.Checkpoint(ctx, "churn")
	monitor, _ = drift.New(config, nil)
	err := monitor.UnmarshalBinary(checkpoint.State)
	fmt.Println(len(monitor.Alerts()), err)
	// Output: 0 <nil>
}
