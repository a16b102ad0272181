package judge

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// How the variance of a mean of dependent rows is found. The numbers were
// chosen by the simulations of this package: see the package comment.
const (
	mostBlocks  = 64 // more blocks than that tell little, and shorter ones hide dependence
	leastBlocks = 8  // fewer do not make a variance
	leastRows   = 30 // with fewer no judgement is made
)

// tolerance is by how many standard errors a longer block's variance may exceed a
// shorter one's before the rows count as dependent. Few rows hide dependence,
// which then must be suspected sooner.
func tolerance(rows int) float64 { return min(0.9, float64(rows)/400) }

// spread is what a series in the order of time tells of its mean.
type spread struct {
	n        int
	mean     float64
	variance float64 // of the mean
	df       float64 // of the variance
	block    int     // rows a block
	settled  bool    // the variance stopped growing with the block's length
}

// spreadOf estimates the variance of the mean of x from the means of
// non-overlapping blocks, which for long enough blocks are nearly independent
// (batch means: Conway 1963; Flegal and Jones 2010). The length is found by
// halving the number of blocks until longer ones give no significantly larger
// variance. Where rows depend on each other, the first-order bias of the chosen
// length is removed by twice the variance of blocks twice as long less its own
// (Quenouille's way; for batch means "lugsail", Vats and Flegal 2022), and the
// degrees of freedom are those of the longer blocks. Where the variance still
// grows at the longest blocks it is not settled.
func spreadOf(x []float64) spread {
	n := len(x)
	s := spread{n: n, block: 1}
	if n == 0 {
		return s
	}
	sums := make([]float64, n+1)
	for i, v := range x {
		sums[i+1] = sums[i] + v
	}
	s.mean = sums[n] / float64(n)
	scales := scalesOf(sums, s.mean)
	if len(scales) == 0 {
		s.variance, s.df = math.Inf(1), 1
		return s
	}
	byRow := batchVariance(sums, n, s.mean)
	dependent := false
	for _, c := range scales {
		dependent = dependent || c.exceeds(byRow, tolerance(n))
	}
	at := 0
	for at < len(scales)-1 && grows(scales, at, tolerance(n)) {
		at++
	}
	s.settled = true
	if dependent = dependent || at > 0; dependent {
		s.settled = at+1 < len(scales)
		longer := min(at+1, len(scales)-1)
		short, long := scales[max(longer-1, 0)], scales[longer]
		s.variance = max(short.variance, long.variance, 2*long.variance-short.variance)
		at = longer
	} else {
		s.variance = scales[0].variance
	}
	s.df = float64(scales[at].blocks - 1)
	s.block = (n + scales[at].blocks - 1) / scales[at].blocks
	return s
}

// scale is the variance of the mean by so many blocks.
type scale struct {
	blocks   int
	variance float64
}

// exceeds tells whether the variance is larger than that of shorter blocks by
// more than chance.
func (c scale) exceeds(shorter, tolerance float64) bool {
	return c.variance > shorter*(1+tolerance*math.Sqrt(2/float64(c.blocks-1)))
}

func scalesOf(sums []float64, mean float64) []scale {
	var scales []scale
	for blocks := min(len(sums)-1, mostBlocks); blocks >= leastBlocks; blocks /= 2 {
		scales = append(scales, scale{blocks, batchVariance(sums, blocks, mean)})
	}
	return scales
}

func grows(scales []scale, at int, tolerance float64) bool {
	for _, c := range scales[at+1:] {
		if c.exceeds(scales[at].variance, tolerance) {
			return true
		}
	}
	return false
}

// batchVariance returns the variance of the mean by so many blocks of equal
// length (give or take a row), from the running sums.
func batchVariance(sums []float64, blocks int, mean float64) float64 {
	n := len(sums) - 1
	var squares float64
	for k := range blocks {
		from, to := k*n/blocks, (k+1)*n/blocks
		d := sums[to] - sums[from] - mean*float64(to-from)
		squares += d * d
	}
	b := float64(blocks)
	return squares * b / (b - 1) / float64(n) / float64(n)
}

// effective is the number of independent rows that would give the variance.
func (s spread) effective(byRow float64) float64 {
	if !(s.variance > 0) || byRow >= s.variance || math.IsInf(s.variance, 0) {
		return float64(s.n)
	}
	return float64(s.n) * byRow / s.variance
}

// student is the quantile of Student's t.
func student(p, df float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(p)
}

// meanVariance returns the variance of the mean of independent rows.
func meanVariance(x []float64) float64 {
	n := float64(len(x))
	if n < 2 {
		return 0
	}
	var mean float64
	for _, v := range x {
		mean += v / n
	}
	var squares float64
	for _, v := range x {
		squares += (v - mean) * (v - mean)
	}
	return squares / (n - 1) / n
}
