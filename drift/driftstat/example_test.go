package driftstat_test

import (
	"fmt"

	"github.com/mlloop/mlloop/drift/driftstat"
)

func ExampleKS() {
	before := []float64{0.61, -0.44, 1.32, 0.05, -1.91, 0.77, -0.2, 1.01}
	after := []float64{1.45, 0.9, 2.2, -0.31, 1.77, 0.48, 3.1, 1.6, 0.12, 2.75}
	ks, err := driftstat.KS(before, after)
	fmt.Printf("D=%.2f p=%.3f %v\n", ks.D, ks.P, err)
	// Output: D=0.60 p=0.050 <nil>
}

func ExamplePSI() {
	reference := []int64{270, 213, 154, 112, 51} // rows in each bin
	current := []int64{100, 178, 149, 139, 134}
	psi, err := driftstat.PSI(reference, current, driftstat.Laplace)
	fmt.Printf("%.2f %v\n", psi, err)
	// Output: 0.33 <nil>
}

func ExampleAdjust() {
	p := []float64{0.001, 0.04, 0.30, 0.012} // one test a column
	adjusted, err := driftstat.Adjust(p, driftstat.BenjaminiHochberg)
	fmt.Printf("%.3f %v\n", adjusted, err)
	// Output: [0.004 0.053 0.300 0.024] <nil>
}
