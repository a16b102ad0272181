// Package servetest tests services that serve models, without a registry,
// network or database:
//
//	srv := servetest.New(t, "churn", servetest.Constant("stays"), nil)
//	words, err := greet(ctx, srv.Server, "visit 1", 42) // the code under test
//	servetest.RequirePredictions(t, srv, "churn", 1)
//
// It also holds the conformance suites that every serve.Store and every
// serve.Predictor passes: Run and RunPredictor.
package servetest
