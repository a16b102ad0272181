package servesql_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/sqlstore"
)

// Predictions in a file, which a later process reads.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "servesql")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	predictions, err := servesql.Open(ctx, "sqlite:"+filepath.Join(dir, "loop.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer predictions.Close()
	srv := serve.New(nil, &serve.Options{Log: predictions})
	if err := srv.Add("churn", 1, servetest.Constant("stays")); err != nil {
		log.Fatal(err)
	}
	if err := srv.SetRoute(ctx, serve.Route{Model: "churn", Primary: 1}); err != nil {
		log.Fatal(err)
	}
	if _, err := srv.Predict(ctx, "churn", serve.Request{ID: "r", Inputs: servetest.X(1, 2)}); err != nil {
		log.Fatal(err)
	}
	if err := srv.Close(ctx); err != nil { // drains
		log.Fatal(err)
	}
	logged, err := predictions.Predictions(ctx, serve.PredictionQuery{Model: "churn"})
	for _, p := range logged {
		fmt.Println(p.ID, p.Index, p.Features.Get("x").Text(), p.Label().Text(), err)
	}
	// Output:
	// r 0 1 stays <nil>
	// r 1 2 stays <nil>
}

// The statements that a database administrator reviews and runs by hand.
func ExampleSchema() {
	steps, err := servesql.Schema().Migrations(sqlstore.PostgreSQL, &sqlstore.Options{Schema: "mlloop"})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range steps {
		fmt.Println(step.Version, step.Name)
	}
	// Output:
	// 1 001_serve.sql
}
