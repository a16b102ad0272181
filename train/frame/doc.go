// Package frame holds data the way the loop passes it on: Table for data sets
// (Arrow record batches), Row and Tensor for the request path.
//
//	t, err := frame.ReadCSV(file, nil)             // kinds are inferred
//	train, later, err := t.SplitAt(8712)           // in the order of time
//	prices, err := train.Floats("price")           // NaN where null
//	for i, row := range later.Rows(0, 10) { … }    // flat typed values
//
// A Table never changes: every method that reshapes one returns another, which
// shares the columns' memory where it can. That memory is Go's, so there is
// nothing to release.
//
// Values are of five kinds (Float64, Int64, Bool, String, Time) or null. In
// Float64 columns a NaN is a value like any other to this package; what reads
// tables for models (train/feature) takes null and NaN alike as missing.
package frame
