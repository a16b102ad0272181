// Package trackingtest helps to test code that tracks runs, and checks
// implementations of tracking.Store.
//
// A unit test of code that logs needs no database and no network:
//
//	func TestTrain(t *testing.T) {
//		runs := trackingtest.New(t)
//		trainChurn(t.Context(), runs)
//		trackingtest.RequireMetric(t, runs, "auc", 0.9)
//	}
//
// The test of a store is one call:
//
//	func TestStore(t *testing.T) {
//		trackingtest.Run(t, func(t *testing.T) tracking.Store { return mystore.New() })
//	}
package trackingtest
