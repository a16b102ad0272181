package driftstat

import "math"

// Wasserstein returns the Wasserstein-1 (earth mover's) distance, the area
// between the two distribution functions, in the unit of the values. Divide it
// by the reference's standard deviation to compare columns; a constant
// reference has none. Equal constants give 0. The result is +Inf when the
// values span more than a float64 can say. Errors: Invalid when a sample has
// no finite value.
func Wasserstein(ref, cur []float64) (float64, error) {
	p, err := sortedPair(ref, cur, 1)
	if err != nil {
		return 0, err
	}
	n, m := float64(len(p.ref)), float64(len(p.cur))
	area := 0.0
	p.walk(func(i, j int, width float64) {
		if gap := math.Abs(float64(i)/n - float64(j)/m); gap > 0 {
			area += gap * width
		}
	})
	return area, nil
}
