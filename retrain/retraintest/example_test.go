package retraintest_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/exampletest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/traintest"
)

// customers makes up the rows to learn from: a customer an hour for thirty
// days, of whom those who visit seldom leave.
type customers struct{}

func (customers) Rows(_ context.Context, now time.Time) (*frame.Table, error) {
	schema := frame.Schema{{Name: "seen_at", Kind: frame.Time}, {Name: "visits", Kind: frame.Float64}, {Name: "churned", Kind: frame.String}}
	var rows []frame.Row
	for hour := 30 * 24; hour > 0; hour-- {
		visits := hour * 7 % 20
		rows = append(rows, frame.Row{Values: []frame.Value{frame.TimeValue(now.Add(-time.Duration(hour) * time.Hour).UnixMilli()),
			frame.FloatValue(float64(visits)), frame.StringValue(strconv.FormatBool(visits < 8))}})
	}
	return frame.FromRows(schema, rows)
}

// A consumer's unit test: a loop in memory, stepped on a day of its own choice.
func Example() {
	testFirstModel := func(t *testing.T) {
		loop, err := retrain.New(retrain.Config{
			Model: "churn", Stores: retraintest.NewStores(), Data: customers{},
			Time: "seen_at", Label: "churned", Trainer: new(traintest.Fake),
		})
		require.NoError(t, err)
		monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		retraintest.StepAndSettle(t, loop, monday)
		retraintest.RequirePromoted(t, loop, 1)
		require.NoError(t, loop.Close(t.Context()))
	}
	fmt.Println(exampletest.Passes(testFirstModel))
	// Output: true
}

// A gate of the service's own is judged by made-up candidates.
func ExampleCandidate() {
	gate := retrain.NonInferior("accuracy", 0.05)
	for _, challenger := range []float64{0.9, 0.5} {
		verdict, err := gate.Judge(context.Background(), retraintest.Candidate(480, 0.8, challenger))
		fmt.Println(verdict.Outcome, err)
	}
	// Output:
	// pass <nil>
	// fail <nil>
}
