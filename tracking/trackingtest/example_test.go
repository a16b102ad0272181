package trackingtest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

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
	fmt.Println(passes(testTrainChurn))
	// Output: true
}

// The test of a store is one call.
func ExampleRun() {
	testStore := func(t *testing.T) {
		trackingtest.Run(t, func(*testing.T) tracking.Store { return trackingmem.New() })
	}
	fmt.Println(passes(testStore))
	// Output: true
}

// passes runs a test as go test does and says whether it passed. What it prints
// under -v stays out of the example's output.
func passes(test func(t *testing.T)) bool {
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	os.Stdout, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	defer os.Stdout.Close()
	all := func(string, string) (bool, error) { return true, nil }
	return testing.RunTests(all, []testing.InternalTest{{Name: "Test", F: test}})
}
