package retrainsql_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mlloop/mlloop/retrain/retrainsql"
)

func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "loop")
	if err != nil {
		panic(err)
	}
	stores, err := retrainsql.Open(ctx, "sqlite:"+filepath.Join(dir, "loop.db"), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = stores.Close(ctx) }()
	runs, err := stores.Tracking.Experiments(ctx)
	fmt.Println(len(runs), err)
	// Output: 0 <nil>
}
