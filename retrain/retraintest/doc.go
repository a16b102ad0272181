// Package retraintest is for the unit tests of services that keep a model right
// with mlloop: a loop in memory, stepped on times of the test's own choice.
//
//	loop, err := retrain.New(retrain.Config{Model: "churn", Stores: retraintest.NewStores(), …})
//	err = loop.Step(t.Context(), monday)
//	retraintest.RequirePromoted(t, loop, 1)
//
// RunEngine, RunStore, RunTrigger and RunGate are the suites that parts of the
// service's own must pass; Candidate makes up what gates judge.
package retraintest
