// Package driftconcept finds changes in a stream of numbers, most often a
// model's errors, one at a time and in constant or logarithmic memory.
//
//	d := driftconcept.NewADWIN(nil)
//	for _, x := range errors {
//		if d.Update(x) == driftconcept.Drift {
//			fmt.Println("the error changed; it is now about", d.Mean())
//		}
//	}
//
// Every detector is deterministic and its state can be saved with
// MarshalBinary and restored with UnmarshalBinary; a restored detector goes on
// as if nothing had happened. The states carry a version and are read by all
// later releases.
//
// NaN and ±Inf are passed over. Detectors are not safe for concurrent use.
//
// False alarms and delays differ widely between detectors. On 40,000 errors of
// a fixed rule without any change, DDM flags once and the others never; on the
// strongly autocorrelated Elec2 stream all of them flag. Their thresholds
// assume independent items: see drift.Monitor for thresholds scaled to
// autocorrelated errors.
package driftconcept
