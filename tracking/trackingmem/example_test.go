package trackingmem_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

func Example() {
	ctx := context.Background()
	runs := tracking.New(trackingmem.New(), nil)
	defer runs.Close(ctx)
	run, err := runs.Start(ctx, "churn", nil)
	if err != nil {
		log.Fatal(err)
	}
	run.LogMetric("auc", 0.9, 1)
	fmt.Println(run.Finish(ctx))
	// Output: <nil>
}
