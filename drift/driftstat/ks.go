package driftstat

import "math"

// KSTest is the result of the two-sample Kolmogorov-Smirnov test.
type KSTest struct {
	D          float64 // largest distance between the distribution functions, 0..1
	P          float64 // two-sided p-value
	Exact      bool    // P is exact, not from the limit law
	Ref        int     // finite reference values
	Cur        int     // finite current values
	RefMissing int     // NaN and ±Inf left out
	CurMissing int
}

// exactCells bounds the lattice that an exact p-value walks: about 50 ms.
const exactCells = 10_000_000

// KS tests whether both samples come from one continuous distribution. P is
// exact ([KSExact]) while the product of the sample sizes is at most 10⁷, else
// from the limit law ([KSLimit]). With ties P errs on the safe side (it is too
// large). Equal constants give D = 0 and P = 1, different ones D = 1.
// Errors: Invalid with fewer than two finite values in a sample.
func KS(ref, cur []float64) (KSTest, error) {
	p, err := sortedPair(ref, cur, 2)
	if err != nil {
		return KSTest{}, err
	}
	n, m := len(p.ref), len(p.cur)
	d := 0.0
	p.walk(func(i, j int, _ float64) {
		// The cross product keeps the lattice points of KSExact exact.
		gap := math.Abs(float64(i)*float64(m)-float64(j)*float64(n)) / (float64(n) * float64(m))
		d = max(d, gap)
	})
	t := KSTest{D: d, Ref: n, Cur: m, RefMissing: p.refMissing, CurMissing: p.curMissing}
	if t.Exact = n*m <= exactCells; t.Exact {
		t.P = KSExact(d, n, m)
	} else {
		t.P = KSLimit(d, n, m)
	}
	return t, nil
}

// KSExact returns P(D ≥ d) for samples of n and m values from one continuous
// distribution, by counting lattice paths (Hodges 1958, §2): a random path
// from (0,0) to (n,m) that leaves the band |i/n − j/m| < d does so with this
// probability. Only positive terms are added, so that small p-values keep
// their digits. Time is O(n·m·d). It returns 1 for d ≤ 0 and NaN for NaN or
// sizes below one.
func KSExact(d float64, n, m int) float64 {
	if math.IsNaN(d) || n < 1 || m < 1 {
		return math.NaN()
	}
	edge := int64(math.Round(min(d, 2) * float64(n) * float64(m))) // outside: |i·m − j·n| ≥ edge
	if edge <= 0 {
		return 1
	}
	at := make([]float64, m+2) // at[j]: the path is at (i, j) and has not left the band
	at[0] = 1
	outside, first := 0.0, 0
	for i := 0; i <= n; i++ {
		low := -1
		for j := first; j <= m; j++ {
			gap := int64(i)*int64(m) - int64(j)*int64(n)
			if gap <= -edge { // everything further right is outside, and only this cell was reached
				outside += at[j]
				at[j] = 0
				break
			}
			if gap >= edge {
				outside += at[j]
				at[j] = 0
				continue
			}
			if low < 0 {
				low = j
			}
			if left := float64(n - i + m - j); left > 0 {
				at[j+1] += at[j] * float64(m-j) / left
				at[j] *= float64(n-i) / left
			}
		}
		first = max(low, 0)
	}
	return min(outside, 1)
}

// KSLimit returns P(D ≥ d) by Kolmogorov's limit law at d·sqrt(n·m/(n+m)). It
// returns NaN for NaN or sizes below one.
func KSLimit(d float64, n, m int) float64 {
	if math.IsNaN(d) || n < 1 || m < 1 {
		return math.NaN()
	}
	return kolmogorovSurvival(d * math.Sqrt(float64(n)*float64(m)/float64(n+m)))
}

// kolmogorovSurvival is Q(x) = 2·Σ (−1)^(k−1)·exp(−2k²x²); below 1 the theta
// transform of the same sum is used, which converges at once there.
func kolmogorovSurvival(x float64) float64 {
	if x <= 0 {
		return 1
	}
	sum := 0.0
	if x < 1 {
		for k := 1; k <= 7; k += 2 {
			sum += math.Exp(-float64(k*k) * math.Pi * math.Pi / (8 * x * x))
		}
		return 1 - math.Sqrt(2*math.Pi)/x*sum
	}
	sign := 1.0
	for k := 1.0; k <= 6; k++ {
		sum += sign * math.Exp(-2*k*k*x*x)
		sign = -sign
	}
	return min(2*sum, 1)
}
