// Package retrainsql keeps a whole loop on one SQL database.
//
//	stores, err := retrainsql.Open(ctx, "sqlite:loop.db", nil)
//	defer stores.Close(ctx)
//	loop, err := retrain.New(retrain.Config{Model: "churn", Stores: stores, …})
//
// Open gives the tracking runs, the registry, the prediction log, the alerts,
// the loop's own records and the engine of its workflows. New gives the store of
// the loop's records alone, on a database that the service opened itself.
package retrainsql
