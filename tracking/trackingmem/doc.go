// Package trackingmem keeps tracking data in memory: for tests, and as the
// executable specification that other stores are compared with.
//
//	runs := tracking.New(trackingmem.New(), nil)
//	run, err := runs.Start(ctx, "churn", nil)
package trackingmem
