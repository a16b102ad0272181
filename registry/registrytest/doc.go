// Package registrytest is for tests: of code that uses a registry, and of
// stores.
//
//	models := registrytest.New(t) // in memory
//	err := promoteNewest(ctx, models, "churn") // the code under test
//	registrytest.RequireChampion(t, models, "churn", 1)
//
// [Run] checks that a registry.Store keeps its promises.
package registrytest
