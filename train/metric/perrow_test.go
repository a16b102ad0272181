package metric_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/metric"
)

func TestPerRowMeansTheMetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	for _, s := range []metric.Scores{binormal(rng, 60, 1), fourClasses(rng, 90)} {
		for _, m := range metric.All() {
			rows, err := m.PerRow(s)
			require.NoError(t, err)
			require.Len(t, rows, len(s.Labels))
			var mean float64
			for _, v := range rows {
				mean += v / float64(len(rows))
			}
			r, err := m.Evaluate(s, nil)
			require.NoError(t, err)
			require.InDelta(t, r.Value, mean, 1e-12, m.Name)
		}
	}
}

func TestPerRowErrors(t *testing.T) {
	for _, m := range metric.All() {
		_, err := m.PerRow(metric.Scores{Classes: 2})
		require.ErrorIs(t, err, metric.ErrInvalid)
		require.EqualError(t, err, "metric: "+m.Name+" a row: no rows")
		rows, err := m.PerRow(two([]int{1, 1}, 0.2, 0.7))
		if m.Name == metric.NameAUC {
			require.ErrorContains(t, err, "class 0 has no rows")
			continue
		}
		require.NoError(t, err)
		require.Len(t, rows, 2)
	}
}
