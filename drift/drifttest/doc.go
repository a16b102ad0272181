// Package drifttest is for tests: of code that acts on drift alerts, and of
// stores and monitors.
//
//	store := drifttest.New(t) // in memory
//	runDay(ctx, store)
//	drifttest.RequireAlert(t, store, "churn", "age")
//
// [Run] checks that a drift.Store keeps its promises. [SEA] is a stream of
// labelled rows, with or without a change.
package drifttest
