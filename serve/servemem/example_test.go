package servemem_test

import (
	"context"
	"fmt"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/train/frame"
)

func Example() {
	ctx := context.Background()
	predictions := servemem.New()
	err := predictions.AppendPredictions(ctx, []serve.Prediction{{ID: "a", Model: "churn", Version: 1, Variant: serve.Primary, Status: frame.Answered}})
	counts, _ := predictions.Counts(ctx, "churn")
	fmt.Println(counts.Predictions, err)
	// Output: 1 <nil>
}
