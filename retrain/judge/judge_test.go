package judge_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/train/metric"
)

// two returns the scores of a two-class model from the probabilities of class 1.
func two(labels []int, ones []float64) metric.Scores {
	s := metric.Scores{Labels: labels, Classes: 2}
	for _, p := range ones {
		s.Probabilities = append(s.Probabilities, 1-p, p)
	}
	return s
}

// models draws a champion right so often and a challenger, right by itself.
func models(seed uint64, n int, challenger, champion float64) (a, b metric.Scores) {
	rng := rand.New(rand.NewPCG(seed, 1))
	labels, pa, pb := make([]int, n), make([]float64, n), make([]float64, n)
	for i := range n {
		labels[i] = rng.IntN(2)
		say := func(right float64) float64 {
			sure := 0.55 + 0.4*rng.Float64()
			if (rng.Float64() < right) == (labels[i] == 1) {
				return sure
			}
			return 1 - sure
		}
		pa[i], pb[i] = say(challenger), say(champion)
	}
	return two(labels, pa), two(labels, pb)
}

var asks = map[string]func(string, metric.Scores, metric.Scores, float64, *judge.Options) (judge.Judgement, error){
	"non-inferior": judge.NonInferior, "no harm": judge.NoHarm, "superior": judge.Superior, "final": judge.Final,
}

// The old gate passed a coin toss with margin 0, half of the time.
func TestACoinTossDoesNotPass(t *testing.T) {
	passes := 0
	for seed := range uint64(200) {
		a, b := models(seed, 200, 0.5, 0.5)
		j, err := judge.NonInferior(metric.NameAccuracy, a, b, 0, nil)
		require.NoError(t, err)
		if j.Outcome == judge.Pass {
			passes++
		}
	}
	require.LessOrEqual(t, passes, 19) // 5 % and three standard errors
}

func TestIdenticalRows(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 29} {
		s := two(make([]int, n), slices.Repeat([]float64{0.1}, n))
		for _, m := range metric.All() {
			for what, ask := range asks {
				j, err := ask(m.Name, s, s, 0.05, nil)
				require.NoError(t, err)
				require.Equal(t, judge.Inconclusive, j.Outcome, "%s of %s on %d rows", what, m.Name, n)
				require.Equal(t, n, j.N)
				require.Positive(t, j.Needed)
				_, err = json.Marshal(j) // all numbers are finite
				require.NoError(t, err)
			}
		}
	}
	// Two thousand are enough, and what they show is bounded by the rows there might be.
	s, _ := models(1, 2000, 0.7, 0.7)
	for _, m := range metric.All() {
		j, err := judge.NonInferior(m.Name, s, s, 0.02, nil)
		require.NoError(t, err)
		require.Equal(t, judge.Pass, j.Outcome, j.Reason)
		require.Negative(t, j.Low)
		j, err = judge.NonInferior(m.Name, s, s, 1e-6, nil)
		require.NoError(t, err)
		require.Equal(t, judge.Inconclusive, j.Outcome, j.Reason)
	}
}

func TestWhatIsPlainIsSeen(t *testing.T) {
	worse, champion := models(3, 3000, 0.6, 0.8)
	better, _ := models(3, 3000, 0.9, 0.8)
	for _, m := range metric.All() {
		for what, ask := range asks {
			j, err := ask(m.Name, worse, champion, 0.01, nil)
			require.NoError(t, err)
			require.Equal(t, judge.Fail, j.Outcome, "%s: %s", what, j.Reason)
			require.Equal(t, m.HigherBetter, j.Diff < 0, "in the metric's own sign")
			require.True(t, j.Low <= j.Diff && j.Diff <= j.High)
			j, err = ask(m.Name, better, champion, 0.01, nil)
			require.NoError(t, err)
			require.Equal(t, judge.Pass, j.Outcome, "%s: %s", what, j.Reason)
		}
	}
}

// What is said to be needed suffices, and does so about as often as was said.
func TestNeededRowsSuffice(t *testing.T) {
	a, b := models(5, 200, 0.8, 0.8)
	j, err := judge.NonInferior(metric.NameAccuracy, a, b, 0.05, nil)
	require.NoError(t, err)
	require.Equal(t, judge.Inconclusive, j.Outcome, j.Reason)
	require.Contains(t, j.Reason, "would do")
	pilot, err := judge.RowsFromPilot(metric.NameAccuracy, a, b, 0.05, nil)
	require.NoError(t, err)
	require.InEpsilon(t, j.Needed, pilot, 0.15)
	passes := 0
	for seed := range uint64(200) {
		a, b := models(100+seed, j.Needed, 0.8, 0.8)
		again, err := judge.NonInferior(metric.NameAccuracy, a, b, 0.05, nil)
		require.NoError(t, err)
		if again.Outcome == judge.Pass {
			passes++
		}
	}
	require.InDelta(t, 160, passes, 30)
}

func TestRowsFor(t *testing.T) {
	_, champion := models(5, 1000, 0.8, 0.8)
	for _, m := range metric.All() {
		wide, err := judge.RowsFor(m.Name, champion, 0.05, nil)
		require.NoError(t, err)
		narrow, err := judge.RowsFor(m.Name, champion, 0.01, nil)
		require.NoError(t, err)
		require.GreaterOrEqual(t, wide, 100)
		require.Greater(t, narrow, 4*wide)
	}
	few, err := judge.RowsFor(metric.NameAccuracy, champion, 0.9, nil)
	require.NoError(t, err)
	require.Equal(t, 100, few)
	_, err = judge.RowsFor(metric.NameAccuracy, champion, 0, nil)
	require.ErrorIs(t, err, judge.ErrInvalid)

	margin, err := judge.Relative(metric.NameLogLoss, champion, 0.02)
	require.NoError(t, err)
	loss, err := metric.LogLoss(champion, nil)
	require.NoError(t, err)
	require.InDelta(t, 0.02*loss.Value, margin, 1e-12)
}

func TestErrorsTellEverything(t *testing.T) {
	a, b := models(6, 40, 0.8, 0.8)
	_, err := judge.NonInferior("gini", a, b, -1, &judge.Options{Alpha: 0.7, Power: 2})
	require.ErrorIs(t, err, judge.ErrInvalid)
	require.EqualError(t, err, `judge: non-inferiority of gini: metric: unknown metric "gini"; there are accuracy, log_loss, auc, brier; `+
		`alpha 0.7 is not between 0 and 0.5; power 2 is not within [0.5, 1); margin -1: want a number that is not negative`)
	for _, margin := range []float64{math.NaN(), math.Inf(1)} {
		_, err = judge.Superior(metric.NameAUC, a, b, margin, nil)
		require.ErrorIs(t, err, judge.ErrInvalid)
	}
	c, _ := models(7, 40, 0.8, 0.8)
	_, err = judge.NoHarm(metric.NameAUC, c, b, 0, nil)
	require.EqualError(t, err, "judge: no harm of auc: the labels differ: both must answer the same rows in the same order")
	b.Probabilities[3] = math.NaN()
	_, err = judge.Final(metric.NameAUC, a, b, 0, nil)
	require.ErrorContains(t, err, "champion: row 1")
	_, err = judge.NonInferior(metric.NameAUC, metric.Scores{}, metric.Scores{}, 0, nil)
	require.ErrorIs(t, err, judge.ErrInvalid)
}

// A block of rows that depend on each other is no thirty rows.
func TestRunsOfRowsAreFewRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	var labels []int
	var a, b []float64
	for range 40 {
		y, pa, pb := rng.IntN(2), rng.Float64(), rng.Float64()
		for range 25 {
			labels, a, b = append(labels, y), append(a, pa), append(b, pb)
		}
	}
	j, err := judge.NonInferior(metric.NameLogLoss, two(labels, a), two(labels, b), 0.05, nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, j.Block, 25, j.Reason)
	require.Equal(t, judge.Inconclusive, j.Outcome, j.Reason)
}
