package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/traintest"
)

// BenchmarkMLP fits 4,356 rows of six numbers for 40 epochs, the whole way from
// the table to the bundle: 1,240 steps of 128 rows on a 6-32-16-2 network.
func BenchmarkMLP(b *testing.B) {
	job := traintest.NewJob(b, 4356, 1)
	for _, name := range []string{"a", "b", "c", "d"} {
		values, err := job.Data.Values("spend")
		require.NoError(b, err)
		job.Data, err = job.Data.WithColumn(frame.Field{Name: name, Kind: frame.Float64}, values)
		require.NoError(b, err)
	}
	job.Inputs = []string{"spend", "visits", "a", "b", "c", "d"}
	job.Features = job.Features[:1]
	m := train.MLP{Epochs: 40, Patience: 40}
	b.ReportAllocs()
	for b.Loop() {
		_, err := m.Fit(b.Context(), job)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N)*40*31/b.Elapsed().Seconds(), "steps/s")
}
