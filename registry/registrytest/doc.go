// Package registrytest is for tests: of code that uses a registry, and of
// stores.
//
//	models := registrytest.New(t) // in memory
//	promoteIfBetter(ctx, models)
//	registrytest.RequireChampion(t, models, "churn", 2)
//
// [Run] checks that a registry.Store keeps its promises.
package registrytest
