package judge

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/metric"
)

type golden struct {
	Delong struct {
		Labels               []int
		A, B                 []float64
		Difference, Variance float64
		Positives            int
	}
	Batch struct {
		Series   []float64
		Variance map[string]float64
	}
	Student struct {
		Series    []float64
		Low, High float64
	}
	Betting struct {
		Rounds    []float64
		Margin    float64
		LogWealth float64 `json:"log_wealth"`
		Alpha     float64
		Bernstein [2]float64
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}

func ones(labels []int, p []float64) metric.Scores {
	s := metric.Scores{Labels: labels, Classes: 2}
	for _, v := range p {
		s.Probabilities = append(s.Probabilities, 1-v, v)
	}
	return s
}

// The sum of squares of the rows' differences is DeLong's, but for n/(n-1) of
// either side.
func TestGoldenDeLong(t *testing.T) {
	g := readGolden(t).Delong
	m, err := metric.ByName(metric.NameAUC)
	require.NoError(t, err)
	s, err := pairedSeries(m, ones(g.Labels, g.A), ones(g.Labels, g.B))
	require.NoError(t, err)
	sides := map[int]float64{}
	var mean float64
	for _, v := range s.gain {
		mean += v / float64(len(s.gain))
	}
	require.InDelta(t, g.Difference, mean, 1e-12)
	for i, v := range s.gain {
		sides[g.Labels[i]] += (v - mean) * (v - mean)
	}
	n, in := float64(len(s.gain)), float64(g.Positives)
	variance := (sides[1]*in/(in-1) + sides[0]*(n-in)/(n-in-1)) / n / n
	require.InDelta(t, g.Variance, variance, 1e-12)
	require.InEpsilon(t, g.Variance, meanVariance(s.gain), 0.02)
}

func TestGoldenBatches(t *testing.T) {
	g := readGolden(t)
	sums, mean := []float64{0}, 0.0
	for _, v := range g.Batch.Series {
		sums = append(sums, sums[len(sums)-1]+v)
		mean += v / float64(len(g.Batch.Series))
	}
	for blocks, want := range g.Batch.Variance {
		k, err := strconv.Atoi(blocks)
		require.NoError(t, err)
		require.InEpsilon(t, want, batchVariance(sums, k, mean), 1e-9, blocks)
	}
	// Independent rows, as many as blocks: Student's interval of a paired t test.
	s := spreadOf(g.Student.Series)
	require.True(t, s.settled)
	require.Equal(t, 1, s.block)
	half := student(0.95, s.df) * math.Sqrt(s.variance)
	require.InDelta(t, g.Student.Low, s.mean-half, 1e-9)
	require.InDelta(t, g.Student.High, s.mean+half, 1e-9)
}

func TestGoldenBetting(t *testing.T) {
	g := readGolden(t).Betting
	w, b := newWealth(), bounds{}
	for _, d := range g.Rounds {
		w.add(d-g.Margin, 1+g.Margin)
		b.add(d, g.Alpha)
	}
	require.InDelta(t, g.LogWealth, w.Log, 1e-9)
	low, high := b.interval(g.Alpha)
	require.InDelta(t, g.Bernstein[0], low, 1e-9)
	require.InDelta(t, g.Bernstein[1], high, 1e-9)
}
