// Package servetest tests services that serve models, without a registry,
// network or database:
//
//	srv := servetest.New(t, "churn", servetest.Constant("stays"), nil)
//	words, err := greet(ctx, srv.Server, "visit 1", 42) // the code under test
//	servetest.RequirePredictions(t, srv, "churn", 1)
//
// Hang, Slow, Failing, Panicking and Refusing make a predictor misbehave, for tests of what
// is built upon a server; all of them wait in a way that testing/synctest understands.
//
// It also holds the conformance suites that every serve.Store and every
// serve.Predictor passes: Run and RunPredictor.
package servetest
