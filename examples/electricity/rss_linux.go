package main

import (
	"math"
	"syscall"
)

// peakRSS returns the largest memory that the process has held, in MB.
func peakRSS() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return math.NaN()
	}
	return float64(usage.Maxrss) / 1024 // Linux counts in KiB
}
