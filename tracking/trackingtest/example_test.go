package trackingtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mlloop/mlloop/internal/exampletest"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

// trainChurn stands for a service's own training code.
func trainChurn(ctx context.Context, runs *tracking.Client) {
	run, err := runs.Start(ctx, "churn", nil)
	if err != nil {
		return
	}
	run.LogMetric("auc", 0.9, 1)
	_ = run.Finish(ctx)
}

// A consumer's unit test: no database, no network.
func TestTrainChurn(t *testing.T) {
	runs := trackingtest.New(t)
	trainChurn(t.Context(), runs)
	trackingtest.RequireMetric(t, runs, "auc", 0.9)
}

func Example() {
	testTrainChurn := func(t *testing.T) {
		runs := trackingtest.New(t)
		trainChurn(t.Context(), runs)
		trackingtest.RequireMetric(t, runs, "auc", 0.9)
	}
	fmt.Println(exampletest.Passes(testTrainChurn))
	// Output: true
}

// The test of a store is one call.
func ExampleRun() {
	testStore := func(t *testing.T) {
		trackingtest.Run(t, func(*testing.T) tracking.Store { return trackingmem.New() })
	}
	fmt.Println(exampletest.Passes(testStore))
	// Output: true
}
