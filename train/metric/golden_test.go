package metric_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/metric"
)

type goldenCase struct {
	Name             string     `json:"name"`
	Classes          int        `json:"classes"`
	Labels           []int      `json:"labels"`
	Probabilities    []float64  `json:"probabilities"`
	Accuracy         float64    `json:"accuracy"`
	AccuracyWilson   [2]float64 `json:"accuracy_wilson"`
	AccuracyWilson99 [2]float64 `json:"accuracy_wilson_99"`
	LogLoss          float64    `json:"log_loss"`
	LogLossNormal    [2]float64 `json:"log_loss_normal"`
	AUC              float64    `json:"auc"`
	AUCVariance      float64    `json:"auc_variance"`
	Brier            float64    `json:"brier"`
	BrierNormal      [2]float64 `json:"brier_normal"`
}

func (c goldenCase) scores() metric.Scores {
	return metric.Scores{Labels: c.Labels, Probabilities: c.Probabilities, Classes: c.Classes}
}

type goldenFile struct {
	Cases   []goldenCase           `json:"cases"`
	McNemar []metric.McNemarResult `json:"mcnemar"`
}

// golden reads what testdata/golden.py wrote with scikit-learn, scipy and statsmodels.
func golden(t testing.TB) goldenFile {
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g goldenFile
	require.NoError(t, json.Unmarshal(b, &g))
	require.NotEmpty(t, g.Cases)
	return g
}

func TestMetricsAgainstScikitLearn(t *testing.T) {
	const tight = 1e-12
	for _, c := range golden(t).Cases {
		t.Run(c.Name, func(t *testing.T) {
			s := c.scores()

			acc, err := metric.Accuracy(s, nil)
			require.NoError(t, err)
			require.Equal(t, c.Accuracy, acc.Value)
			require.InDeltaSlice(t, c.AccuracyWilson[:], []float64{acc.Low, acc.High}, tight)
			require.Equal(t, metric.Result{Name: "accuracy", Value: acc.Value, Low: acc.Low, High: acc.High,
				N: len(c.Labels), Level: 0.95, Method: "wilson"}, acc)

			acc, err = metric.Accuracy(s, &metric.Options{Level: 0.99})
			require.NoError(t, err)
			require.InDeltaSlice(t, c.AccuracyWilson99[:], []float64{acc.Low, acc.High}, tight)

			loss, err := metric.LogLoss(s, nil)
			require.NoError(t, err)
			require.InEpsilon(t, c.LogLoss, loss.Value, tight)
			require.InDeltaSlice(t, []float64{max(c.LogLossNormal[0], 0), c.LogLossNormal[1]}, []float64{loss.Low, loss.High}, 1e-11)

			brier, err := metric.Brier(s, nil)
			require.NoError(t, err)
			require.InEpsilon(t, c.Brier, brier.Value, tight)
			require.InDeltaSlice(t, []float64{max(c.BrierNormal[0], 0), c.BrierNormal[1]}, []float64{brier.Low, brier.High}, tight)

			auc, err := metric.AUC(s, nil)
			require.NoError(t, err)
			require.InEpsilon(t, c.AUC, auc.Value, tight)
		})
	}
}

func TestAUCIntervalAgainstPairwiseDeLongAndJackknife(t *testing.T) {
	const z = 1.959963984540054
	for _, c := range golden(t).Cases {
		t.Run(c.Name, func(t *testing.T) {
			auc, err := metric.AUC(c.scores(), nil)
			require.NoError(t, err)
			half := z * math.Sqrt(c.AUCVariance)
			want := []float64{max(c.AUC-half, 0), min(c.AUC+half, 1)}
			if c.Classes == 2 {
				require.Equal(t, "delong", auc.Method)
				require.InDeltaSlice(t, want, []float64{auc.Low, auc.High}, 1e-12, "DeLong over every pair")
				return
			}
			require.Equal(t, "normal", auc.Method)
			require.InDeltaSlice(t, want, []float64{auc.Low, auc.High}, 0.05*half, "the jackknife and the influence functions agree to first order")
		})
	}
}

// The 109 CT images of Hanley and McNeil (1982), table I: ratings 1 to 5 of
// normal and abnormal ones. Stata's roctab prints area 0.8932, standard error
// 0.0307, interval 0.83295 to 0.95339 for them.
func TestAUCAgainstPublishedExample(t *testing.T) {
	var s metric.Scores
	s.Classes = 2
	for rating, counts := range [][2]int{{33, 3}, {6, 2}, {6, 2}, {11, 11}, {2, 33}} {
		for label, n := range counts {
			for range n {
				p := float64(rating) / 4
				s.Labels = append(s.Labels, label)
				s.Probabilities = append(s.Probabilities, 1-p, p)
			}
		}
	}
	auc, err := metric.AUC(s, nil)
	require.NoError(t, err)
	require.Equal(t, 109, auc.N)
	require.InDelta(t, 0.8932, auc.Value, 0.00005)
	require.InDelta(t, 0.83295, auc.Low, 0.000005)
	require.InDelta(t, 0.95339, auc.High, 0.000005)
	require.InDelta(t, 0.0307, (auc.High-auc.Low)/2/1.959964, 0.00005)
}

// paired returns the answers of two models that are right alone on onlyA and
// onlyB rows, both right on 10 and both wrong on 5.
func paired(onlyA, onlyB int) (a, b metric.Scores) {
	a.Classes, b.Classes = 2, 2
	add := func(n int, pa, pb float64) {
		for range n {
			a.Labels, b.Labels = append(a.Labels, 1), append(b.Labels, 1)
			a.Probabilities = append(a.Probabilities, 1-pa, pa)
			b.Probabilities = append(b.Probabilities, 1-pb, pb)
		}
	}
	add(10, 0.9, 0.8)
	add(onlyA, 0.9, 0.3)
	add(onlyB, 0.2, 0.8)
	add(5, 0.2, 0.1)
	return a, b
}

func TestMcNemarAgainstStatsmodels(t *testing.T) {
	for _, want := range golden(t).McNemar {
		a, b := paired(want.OnlyA, want.OnlyB)
		got, err := metric.McNemar(a, b)
		require.NoError(t, err)
		require.Equal(t, want.OnlyA, got.OnlyA)
		require.Equal(t, want.OnlyB, got.OnlyB)
		require.InEpsilon(t, want.Exact, got.Exact, 1e-9, "%+v", want)
		require.InEpsilon(t, want.MidP, got.MidP, 1e-9, "%+v", want)
	}
}

func TestMcNemarWithEvenOrNoSplit(t *testing.T) {
	a, b := paired(0, 0)
	got, err := metric.McNemar(a, b)
	require.NoError(t, err)
	require.Equal(t, metric.McNemarResult{Exact: 1, MidP: 1}, got)

	// Of C(4,2)=6 in 16 splits of four rows two and two: mid-p is 1 - 6/16.
	a, b = paired(2, 2)
	got, err = metric.McNemar(a, b)
	require.NoError(t, err)
	require.Equal(t, 1.0, got.Exact)
	require.InDelta(t, 1-6.0/16, got.MidP, 1e-12)
}
