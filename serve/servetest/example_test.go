package servetest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/exampletest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// greet is code under test: it asks a model and acts on the answer.
func greet(ctx context.Context, srv *serve.Server, visit string, x float64) (string, error) {
	resp, err := srv.Predict(ctx, "churn", serve.Request{ID: visit, Inputs: servetest.X(x)})
	if err != nil {
		return "", err
	}
	if resp.Outputs[0].Data.([]string)[0] == "goes" {
		return "please stay", nil
	}
	return "welcome", nil
}

// TestGreet shows a consumer's unit test.
func TestGreet(t *testing.T) {
	srv := servetest.New(t, "churn", servetest.Constant("goes"), nil)
	words, err := greet(t.Context(), srv.Server, "visit 1", 42)
	require.NoError(t, err)
	require.Equal(t, "please stay", words)
	logged := servetest.RequirePredictions(t, srv, "churn", 1)
	require.Equal(t, frame.FloatValue(42), logged[0].Features.Get("x"))

	report, err := srv.Label(t.Context(), "churn", []serve.LabelInput{{ID: "visit 1", Value: frame.StringValue("stays")}})
	require.NoError(t, err)
	require.Equal(t, serve.LabelReport{Stored: 1}, report)
	servetest.RequireLabel(t, srv, "churn", "visit 1", frame.StringValue("stays"))
}

// TestOwnLog: a Log in the options is used.
func TestOwnLog(t *testing.T) {
	log := servetest.New(t, "other", servetest.Constant("x"), nil).Log
	srv := servetest.New(t, "churn", servetest.Constant("goes"), &serve.Options{Log: log})
	_, err := greet(t.Context(), srv.Server, "a", 1)
	require.NoError(t, err)
	require.NoError(t, srv.Flush(t.Context()))
	counts, err := log.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 1, counts.Predictions)
}

func Example() {
	testGreet := func(t *testing.T) {
		srv := servetest.New(t, "churn", servetest.Constant("stays"), nil)
		words, err := greet(t.Context(), srv.Server, "visit 1", 42)
		require.NoError(t, err)
		require.Equal(t, "welcome", words)
		servetest.RequirePredictions(t, srv, "churn", 1)
	}
	fmt.Println(exampletest.Passes(testGreet))
	// Output: true
}

// The test of a store is one call.
func ExampleRun() {
	testStore := func(t *testing.T) {
		servetest.Run(t, func(*testing.T) serve.Store { return servemem.New() })
	}
	fmt.Println(exampletest.Passes(testStore))
	// Output: true
}
