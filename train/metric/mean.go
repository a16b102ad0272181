package metric

import (
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// The contributions of row i to the metrics that are means over rows.

func hit(s Scores, i int) float64 {
	if s.predicted(i) == s.Labels[i] {
		return 1
	}
	return 0
}

func surprise(s Scores, i int) float64 {
	const eps = 0x1p-52
	return -math.Log(min(max(s.row(i)[s.Labels[i]], eps), 1-eps))
}

func squaredError(s Scores, i int) float64 {
	p, y := s.row(i), s.Labels[i]
	if len(p) == 2 {
		d := p[1] - float64(y)
		return d * d
	}
	var sum float64
	for c, v := range p {
		if c == y {
			v -= 1
		}
		sum += v * v
	}
	return sum
}

// meanAndError returns the mean of the contributions and its standard error
// (NaN for one row), by Welford's recurrence.
func meanAndError(s Scores, contribution func(Scores, int) float64) (mean, se float64) {
	var squares float64
	n := float64(len(s.Labels))
	for i := range s.Labels {
		x := contribution(s, i)
		d := x - mean
		mean += d / float64(i+1)
		squares += d * (x - mean)
	}
	return mean, math.Sqrt(squares / (n - 1) / n)
}

func accuracy(s Scores, opts Options) (Result, error) {
	var hits float64
	for i := range s.Labels {
		hits += hit(s, i)
	}
	n := float64(len(s.Labels))
	share := hits / n
	low, high := wilson(share, n, opts.z())
	return Result{Value: share, Low: low, High: high, Method: "wilson"}, nil
}

func logLoss(s Scores, opts Options) (Result, error) {
	return normalMean(s, opts, surprise, math.MaxFloat64)
}

func brier(s Scores, opts Options) (Result, error) {
	most := 2.0
	if s.Classes == 2 {
		most = 1
	}
	return normalMean(s, opts, squaredError, most)
}

func normalMean(s Scores, opts Options, contribution func(Scores, int) float64, most float64) (Result, error) {
	if len(s.Labels) < 2 {
		return Result{}, fault.Errorf(fault.Invalid, "one row: its interval needs two at least")
	}
	mean, se := meanAndError(s, contribution)
	return Result{Value: mean, Low: max(mean-opts.z()*se, 0), High: min(mean+opts.z()*se, most), Method: "normal"}, nil
}

// wilson returns the score interval of a share of n trials (Wilson 1927).
func wilson(share, n, z float64) (low, high float64) {
	z2 := z * z
	middle := (share + z2/(2*n)) / (1 + z2/n)
	half := z / (1 + z2/n) * math.Sqrt(share*(1-share)/n+z2/(4*n*n))
	low, high = max(middle-half, 0), min(middle+half, 1)
	if share == 0 {
		low = 0 // exactly, whatever the rounding
	}
	if share == 1 {
		high = 1
	}
	return low, high
}
