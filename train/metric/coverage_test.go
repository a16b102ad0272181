package metric_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/metric"
)

// requireCoverage draws sims samples and demands that nearly level of their
// intervals hold the truth. The slack is over three binomial standard errors
// plus what is granted to small samples.
func requireCoverage(t *testing.T, truth float64, sims int, slack float64, draw func() metric.Result) {
	t.Helper()
	held := 0
	for range sims {
		if r := draw(); r.Low <= truth && truth <= r.High {
			held++
		}
	}
	coverage := float64(held) / float64(sims)
	t.Logf("coverage %.4f of nominal 0.95", coverage)
	require.InDelta(t, 0.95, coverage, slack)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// binormal draws n rows of each class whose scores are normal, d apart: the
// true area is Φ(d/√2).
func binormal(rng *rand.Rand, n int, d float64) metric.Scores {
	s := metric.Scores{Classes: 2}
	for i := range 2 * n {
		y := i % 2
		p := sigmoid(rng.NormFloat64() + d*float64(y))
		s.Labels = append(s.Labels, y)
		s.Probabilities = append(s.Probabilities, 1-p, p)
	}
	return s
}

func TestWilsonIntervalCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, truth := range []float64{0.5, 0.76, 0.9} {
		requireCoverage(t, truth, 2000, 0.02, func() metric.Result {
			s := metric.Scores{Classes: 2}
			for range 60 {
				y := 0
				if rng.Float64() < truth {
					y = 1
				}
				s.Labels = append(s.Labels, y)
				s.Probabilities = append(s.Probabilities, 0.2, 0.8)
			}
			r, err := metric.Accuracy(s, nil)
			require.NoError(t, err)
			return r
		})
	}
}

func TestDeLongIntervalCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, d := range []float64{0, 1, 1.8} {
		truth := 0.5 * math.Erfc(-d/2)
		requireCoverage(t, truth, 1000, 0.025, func() metric.Result {
			r, err := metric.AUC(binormal(rng, 60, d), nil)
			require.NoError(t, err)
			return r
		})
	}
}

// fourClasses draws rows of four classes of unequal size, softmax of shifted normals.
func fourClasses(rng *rand.Rand, n int) metric.Scores {
	s := metric.Scores{Classes: 4}
	for range n {
		y := [...]int{0, 0, 0, 0, 1, 1, 1, 2, 2, 3}[rng.IntN(10)]
		p := make([]float64, 4)
		var sum float64
		for c := range p {
			shift := 0.0
			if c == y {
				shift = 1
			}
			p[c] = math.Exp(rng.NormFloat64() + shift)
			sum += p[c]
		}
		for c := range p {
			p[c] /= sum
		}
		s.Labels = append(s.Labels, y)
		s.Probabilities = append(s.Probabilities, p...)
	}
	return s
}

func TestMeanAndMacroIntervalsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	large := fourClasses(rng, 100_000)
	for _, m := range metric.All() {
		t.Run(m.Name, func(t *testing.T) {
			truth, err := m.Evaluate(large, nil)
			require.NoError(t, err)
			requireCoverage(t, truth.Value, 500, 0.03, func() metric.Result {
				r, err := m.Evaluate(fourClasses(rng, 200), nil)
				require.NoError(t, err)
				return r
			})
		})
	}
}

// blocky draws two models' answers to blocks of rows. The first model is right
// more often by gap on average; within a block it is right all together more or
// less often.
func blocky(rng *rand.Rand, blockCount, rows int, gap float64) (a, b metric.Scores, ids []int) {
	a.Classes, b.Classes = 2, 2
	for k := range blockCount {
		shift := 0.15 * rng.NormFloat64()
		for range rows {
			a.Labels, b.Labels = append(a.Labels, 1), append(b.Labels, 1)
			pa, pb := 0.3, 0.3
			if rng.Float64() < 0.6+gap+shift {
				pa = 0.8
			}
			if rng.Float64() < 0.6 {
				pb = 0.8
			}
			a.Probabilities = append(a.Probabilities, 1-pa, pa)
			b.Probabilities = append(b.Probabilities, 1-pb, pb)
			ids = append(ids, 100+7*k)
		}
	}
	return a, b, ids
}

func TestPairedBlockBootstrapCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	byBlock, byRow := 0, 0
	const sims = 400
	for i := range sims {
		a, b, ids := blocky(rng, 40, 20, 0.1)
		r, err := metric.Difference("accuracy", a, b, &metric.Options{Blocks: ids, Resamples: 500, Seed: uint64(i)})
		require.NoError(t, err)
		if r.Low <= 0.1 && 0.1 <= r.High {
			byBlock++
		}
		if i < 100 {
			r, err = metric.Difference("accuracy", a, b, &metric.Options{Resamples: 500, Seed: uint64(i)})
			require.NoError(t, err)
			if r.Low <= 0.1 && 0.1 <= r.High {
				byRow++
			}
		}
	}
	require.InDelta(t, 0.95, float64(byBlock)/sims, 0.04)
	require.Less(t, byRow, 90, "taking dependent rows for independent gives an interval that is too narrow")
}

func TestPairedAUCBootstrapCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	truth := 0.5*math.Erfc(-1.5/2) - 0.5*math.Erfc(-1.0/2)
	requireCoverage(t, truth, 300, 0.04, func() metric.Result {
		a, b := binormal(rng, 50, 1.5), binormal(rng, 50, 1.0)
		r, err := metric.Difference("auc", a, b, &metric.Options{Resamples: 400, Seed: rng.Uint64()})
		require.NoError(t, err)
		return r
	})
}
