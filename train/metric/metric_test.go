package metric_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/metric"
)

// two returns the scores of a two-class model from the probabilities of class 1.
func two(labels []int, ones ...float64) metric.Scores {
	s := metric.Scores{Labels: labels, Classes: 2}
	for _, p := range ones {
		s.Probabilities = append(s.Probabilities, 1-p, p)
	}
	return s
}

func TestByName(t *testing.T) {
	higher := map[string]bool{"accuracy": true, "log_loss": false, "auc": true, "brier": false}
	for name, want := range higher {
		m, err := metric.ByName(name)
		require.NoError(t, err)
		require.Equal(t, name, m.Name)
		require.Equal(t, want, m.HigherBetter)
	}
	require.Len(t, metric.All(), len(higher))
	_, err := metric.ByName("f1")
	require.ErrorIs(t, err, metric.ErrInvalid)
	require.EqualError(t, err, `metric: unknown metric "f1"; there are accuracy, log_loss, auc, brier`)
}

func TestScoresCheckTellsEverything(t *testing.T) {
	cases := []struct {
		why    string
		scores metric.Scores
		want   string
	}{
		{"nothing at all", metric.Scores{}, "0 classes, want at least 2; no rows"},
		{"no rows", metric.Scores{Classes: 2}, "no rows"},
		{"a number short", metric.Scores{Labels: []int{0, 1}, Probabilities: []float64{1, 0, 1}, Classes: 2}, "3 probabilities for 2 rows of 2 classes"},
		{"a row short", metric.Scores{Labels: []int{0, 1}, Probabilities: []float64{1, 0}, Classes: 2}, "2 probabilities for 2 rows of 2 classes"},
		{"NaN", two([]int{0}, math.NaN()), "row 0: a probability is negative, infinite or NaN"},
		{"Inf", metric.Scores{Labels: []int{0}, Probabilities: []float64{math.Inf(1), 0}, Classes: 2}, "row 0: a probability is negative, infinite or NaN"},
		{"a negative probability", two([]int{0, 1}, 0.5, 1.1), "row 1: a probability is negative, infinite or NaN"},
		{"no distribution", metric.Scores{Labels: []int{0}, Probabilities: []float64{0.5, 0.6}, Classes: 2}, "row 0: the probabilities do not sum to 1"},
		{"labels and probabilities both wrong", two([]int{0, 2, -1}, 0.5, 0.5, math.NaN()),
			"row 1: label 2 is none of 2 classes; row 2: a probability is negative, infinite or NaN"},
	}
	for _, c := range cases {
		t.Run(c.why, func(t *testing.T) {
			err := c.scores.Check()
			require.ErrorIs(t, err, metric.ErrInvalid)
			require.EqualError(t, err, c.want)
			for _, m := range metric.All() {
				_, err := m.Evaluate(c.scores, nil)
				require.ErrorIs(t, err, metric.ErrInvalid)
				require.EqualError(t, err, "metric: "+m.Name+": "+c.want)
			}
			_, err = metric.McNemar(c.scores, c.scores)
			require.ErrorIs(t, err, metric.ErrInvalid)
			_, err = metric.Difference("auc", c.scores, c.scores, nil)
			require.ErrorIs(t, err, metric.ErrInvalid)
		})
	}
	// What a float32 softmax leaves is no error.
	require.NoError(t, metric.Scores{Labels: []int{0}, Probabilities: []float64{0.3, 0.70001}, Classes: 2}.Check())
}

func TestOptionsOutOfRange(t *testing.T) {
	s := two([]int{0, 1}, 0.2, 0.7)
	for _, level := range []float64{-0.1, 1, 2, math.NaN()} {
		_, err := metric.Accuracy(s, &metric.Options{Level: level})
		require.ErrorIs(t, err, metric.ErrInvalid)
	}
	_, err := metric.Accuracy(s, &metric.Options{Level: 1, Resamples: -1, Blocks: []int{1}})
	require.EqualError(t, err, "metric: accuracy: level 1 is not between 0 and 1; -1 resamples, want 1 to 1000000; 1 block ids for 2 rows")
}

func TestOneRow(t *testing.T) {
	s := two([]int{1}, 0.8)
	acc, err := metric.Accuracy(s, nil)
	require.NoError(t, err)
	require.Equal(t, 1.0, acc.Value)
	require.InDelta(t, 0.20654, acc.Low, 1e-5) // 1/(1+z²)
	require.Equal(t, 1.0, acc.High)

	for _, name := range []string{"log_loss", "brier"} {
		m, err := metric.ByName(name)
		require.NoError(t, err)
		_, err = m.Evaluate(s, nil)
		require.EqualError(t, err, "metric: "+name+": one row: its interval needs two at least")
	}
	_, err = metric.AUC(s, nil)
	require.EqualError(t, err, "metric: auc: class 0 has no rows, so nothing can be ranked against it; take more rows")
	_, err = metric.Difference("accuracy", s, s, nil)
	require.EqualError(t, err, "metric: difference of accuracy: 1 block of rows: an interval needs two at least")
}

func TestOneClass(t *testing.T) {
	s := two([]int{1, 1, 1}, 0.8, 0.6, 0.3)
	_, err := metric.AUC(s, nil)
	require.ErrorIs(t, err, metric.ErrInvalid)
	loss, err := metric.LogLoss(s, nil)
	require.NoError(t, err)
	require.InDelta(t, -(math.Log(0.8)+math.Log(0.6)+math.Log(0.3))/3, loss.Value, 1e-12)
}

func TestAUCWithoutVariance(t *testing.T) {
	separated := two([]int{0, 0, 0, 1, 1}, 0.1, 0.2, 0.3, 0.7, 0.9)
	r, err := metric.AUC(separated, nil)
	require.NoError(t, err)
	require.Equal(t, 1.0, r.Value)
	require.Equal(t, 1.0, r.High)
	require.InDelta(t, 2/(2+1.959963984540054*1.959963984540054), r.Low, 1e-12, "Wilson's bound for two of two")
	require.Equal(t, "wilson over disjoint pairs", r.Method)

	single := two([]int{0, 0, 0, 1}, 0.1, 0.5, 0.3, 0.4)
	r, err = metric.AUC(single, nil)
	require.NoError(t, err)
	require.InDelta(t, 2.0/3, r.Value, 1e-15)
	require.Less(t, r.Low, 0.2)
	require.Equal(t, "wilson over disjoint pairs", r.Method)
}

// slowAUC counts every pair.
func slowAUC(s metric.Scores, c int) float64 {
	var won, pairs float64
	for i, yi := range s.Labels {
		for j, yj := range s.Labels {
			if yi != c || yj == c {
				continue
			}
			pairs++
			switch pi, pj := s.Probabilities[i*s.Classes+c], s.Probabilities[j*s.Classes+c]; {
			case pi > pj:
				won++
			case pi == pj:
				won += 0.5
			}
		}
	}
	return won / pairs
}

func TestAUCCountsPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		n := 2 + rng.IntN(30)
		s := metric.Scores{Classes: 2}
		for i := range n {
			y := rng.IntN(2)
			if i < 2 {
				y = i
			}
			p := float64(rng.IntN(8)) / 7
			s.Labels = append(s.Labels, y)
			s.Probabilities = append(s.Probabilities, 1-p, p)
		}
		r, err := metric.AUC(s, nil)
		require.NoError(t, err)
		require.InDelta(t, slowAUC(s, 1), r.Value, 1e-12)
		require.InDelta(t, r.Value, slowAUC(s, 0), 1e-12, "the area of the other class mirrors it")
		require.True(t, 0 <= r.Low && r.Low <= r.Value && r.Value <= r.High && r.High <= 1, "%+v", r)

		// The bootstrap's own area, of every row once, is the same.
		d, err := metric.AUC(s, &metric.Options{Blocks: seq(n), Resamples: 20})
		require.NoError(t, err)
		require.InDelta(t, r.Value, d.Value, 1e-12)
	}
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestDifferenceIsPairedAndSeeded(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	a, b, ids := blocky(rng, 30, 10, 0.05)
	for _, m := range metric.All() {
		if m.Name == "auc" {
			continue // these rows are all of one class
		}
		o := &metric.Options{Seed: 3, Resamples: 300, Blocks: ids}
		d, err := metric.Difference(m.Name, a, b, o)
		require.NoError(t, err)
		again, err := metric.Difference(m.Name, a, b, o)
		require.NoError(t, err)
		require.Equal(t, d, again, "the same seed gives the same interval")
		require.Equal(t, "paired bootstrap of 30 blocks", d.Method)
		require.Equal(t, 300, d.N)

		ra, err := m.Evaluate(a, nil)
		require.NoError(t, err)
		rb, err := m.Evaluate(b, nil)
		require.NoError(t, err)
		require.InDelta(t, ra.Value-rb.Value, d.Value, 1e-12)

		swapped, err := metric.Difference(m.Name, b, a, o)
		require.NoError(t, err)
		require.InDelta(t, -d.Value, swapped.Value, 1e-12)
		require.InDelta(t, -d.High, swapped.Low, 1e-12)

		same, err := metric.Difference(m.Name, a, a, o)
		require.NoError(t, err)
		require.Zero(t, same.Low)
		require.Zero(t, same.High)
	}
	other, err := metric.Difference("accuracy", a, b, &metric.Options{Seed: 4, Resamples: 300, Blocks: ids})
	require.NoError(t, err)
	first, err := metric.Difference("accuracy", a, b, &metric.Options{Seed: 3, Resamples: 300, Blocks: ids})
	require.NoError(t, err)
	require.NotEqual(t, first.Low, other.Low)
}

// For a mean, the bootstrap's interval nears the normal one of the rows' paired
// differences; over blocks, that of the blocks' sums.
func TestBootstrapNearsTheFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	a, b, ids := blocky(rng, 200, 5, 0.1)
	n := len(a.Labels)
	right := func(s metric.Scores, i int) float64 {
		if s.Probabilities[2*i+1] > 0.5 {
			return 1
		}
		return 0
	}
	var mean float64
	for i := range n {
		mean += (right(a, i) - right(b, i)) / float64(n)
	}
	var byRow float64
	byBlock := map[int]float64{}
	for i := range n {
		d := right(a, i) - right(b, i) - mean
		byRow += d * d
		byBlock[ids[i]] += d
	}
	var squares float64
	for _, d := range byBlock {
		squares += d * d
	}
	const z = 1.96
	for _, c := range []struct {
		blocks []int
		se     float64
	}{{nil, math.Sqrt(byRow) / float64(n)}, {ids, math.Sqrt(squares) / float64(n)}} {
		r, err := metric.Difference("accuracy", a, b, &metric.Options{Resamples: 20_000, Blocks: c.blocks, Seed: 1})
		require.NoError(t, err)
		require.InDelta(t, mean, r.Value, 1e-12)
		require.InDelta(t, mean-z*c.se, r.Low, 0.08*c.se)
		require.InDelta(t, mean+z*c.se, r.High, 0.08*c.se)
	}
}

func TestDifferenceErrors(t *testing.T) {
	a := two([]int{0, 1}, 0.2, 0.7)
	b := two([]int{1, 1}, 0.2, 0.7)
	_, err := metric.Difference("accuracy", a, b, nil)
	require.EqualError(t, err, "metric: difference of accuracy: the labels differ: both must answer the same rows in the same order")
	_, err = metric.Difference("gini", a, a, nil)
	require.ErrorIs(t, err, metric.ErrInvalid)
	c := metric.Scores{Labels: []int{0, 1}, Probabilities: []float64{1, 0, 0, 0, 1, 0}, Classes: 3}
	_, err = metric.McNemar(a, c)
	require.EqualError(t, err, "metric: mcnemar: 2 classes against 3")
	_, err = metric.Difference("accuracy", a, a, &metric.Options{Blocks: []int{4, 4}})
	require.ErrorIs(t, err, metric.ErrInvalid)

	// Half of the resamples of two rows lack a class, and are drawn again.
	d, err := metric.Difference("auc", a, a, &metric.Options{Resamples: 50})
	require.NoError(t, err)
	require.Zero(t, d.Value)

	// Of six rows of six classes, a resample with all of them is too rare.
	rare := metric.Scores{Classes: 6}
	for y := range 6 {
		rare.Labels = append(rare.Labels, y)
		p := make([]float64, 6)
		p[y] = 1
		rare.Probabilities = append(rare.Probabilities, p...)
	}
	_, err = metric.Difference("auc", rare, rare, &metric.Options{Resamples: 50})
	require.EqualError(t, err, "metric: difference of auc: nearly all resamples lack a class; take more rows or smaller blocks")
}

func TestEvaluateAndItsCodec(t *testing.T) {
	s := two([]int{0, 1, 1, 0}, 0.2, 0.7, 0.4, 0.6)
	e, err := metric.Evaluate(s, nil)
	require.NoError(t, err)
	require.Equal(t, 4, e.Rows)
	require.Len(t, e.Results, 4)
	require.Empty(t, e.Undefined)
	acc, ok := e.Get("accuracy")
	require.True(t, ok)
	require.Equal(t, 0.5, acc.Value)
	_, ok = e.Get("gini")
	require.False(t, ok)

	b, err := e.Marshal()
	require.NoError(t, err)
	back, err := metric.DecodeEvaluation(b)
	require.NoError(t, err)
	require.Equal(t, e, back)

	one, err := metric.Evaluate(two([]int{1, 1}, 0.2, 0.7), nil)
	require.NoError(t, err)
	require.Len(t, one.Results, 3)
	require.Equal(t, "auc", one.Undefined[0].Name)
	require.Contains(t, one.Undefined[0].Reason, "class 0 has no rows")

	_, err = metric.Evaluate(metric.Scores{}, nil)
	require.ErrorIs(t, err, metric.ErrInvalid)
}

func TestDecodeEvaluationRefuses(t *testing.T) {
	for text, kind := range map[string]error{
		``:   metric.ErrCorrupt,
		`{}`: metric.ErrCorrupt,
		`{"format":"mlloop.evaluation","version":0}`:             metric.ErrCorrupt,
		`{"format":"mlloop.evaluation","version":2,"new":1}`:     metric.ErrUnsupported,
		`{"format":"mlloop.evaluation","version":1,"rowz":1}`:    metric.ErrCorrupt,
		`{"format":"mlloop.evaluation","version":1,"rows":1} {}`: metric.ErrCorrupt,
		`{"format":"mlloop.evaluation","version":1,"rows":"x"}`:  metric.ErrCorrupt,
		`{"format":"mlloop.feature","version":1,"rows":1}`:       metric.ErrCorrupt,
	} {
		_, err := metric.DecodeEvaluation([]byte(text))
		require.ErrorIs(t, err, kind, text)
	}
}

func FuzzDecodeEvaluation(f *testing.F) {
	e, err := metric.Evaluate(two([]int{0, 1, 1, 0}, 0.2, 0.7, 0.4, 0.6), nil)
	require.NoError(f, err)
	b, err := e.Marshal()
	require.NoError(f, err)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := metric.DecodeEvaluation(b)
		if err != nil {
			return
		}
		again, err := e.Marshal()
		require.NoError(t, err)
		back, err := metric.DecodeEvaluation(again)
		require.NoError(t, err)
		require.Equal(t, e.Results, back.Results)
	})
}
