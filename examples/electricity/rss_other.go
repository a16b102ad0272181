//go:build !linux

package main

import "runtime"

// peakRSS returns the memory that the Go runtime has from the system, in MB:
// where the peak of the whole process is not to be had.
func peakRSS() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / (1 << 20)
}
