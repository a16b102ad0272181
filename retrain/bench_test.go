package retrain_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train"
)

// BenchmarkPredictDuringFit measures the champion's answers while the loop fits
// a challenger, against those right before it, in one run: p99-ratio is the 99th
// percentile of the latency during the fit over that without.
func BenchmarkPredictDuringFit(b *testing.B) {
	const batch, rounds = 2000, 10
	s := newStream(b, 400*rowsADay, 1<<30)
	fitting := make(chan struct{})
	c := baseConfig(s, retraintest.NewStores())
	c.Data, c.Logger = s, slog.New(slog.DiscardHandler)
	inner := c.Trainer
	c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
		for job.Seed > 1 { // the challenger's fit goes on until the measurement is over
			select {
			case fitting <- struct{}{}:
			case <-ctx.Done():
				return nil, ctx.Err()
			default:
			}
			if _, err := inner.Fit(ctx, job); err != nil {
				return nil, err
			}
		}
		return inner.Fit(ctx, job)
	})
	loop, err := retrain.New(c)
	require.NoError(b, err)
	ctx := b.Context()
	require.NoError(b, loop.FitFirst(ctx, at(20*rowsADay), s.table.Slice(0, 20*rowsADay)))
	ask := func(n int) []time.Duration {
		took := make([]time.Duration, n)
		for i := range took {
			start := time.Now()
			_, err := loop.Server().Predict(ctx, "churn", rowRequest(s, i))
			took[i] = time.Since(start)
			require.NoError(b, err)
		}
		return took
	}
	ask(batch) // warm
	var quiet, busy []time.Duration
	for b.Loop() {
		for range rounds {
			quiet = append(quiet, ask(batch)...)
		}
	}
	require.NoError(b, loop.Retrain(ctx, "measured"))
	require.NoError(b, loop.Step(ctx, at(300*rowsADay)))
	<-fitting
	for range rounds {
		busy = append(busy, ask(batch)...)
	}
	b.ReportMetric(float64(p99(busy))/float64(p99(quiet)), "p99-ratio")
	b.ReportMetric(float64(p99(quiet).Microseconds()), "µs-p99-quiet")
	require.NoError(b, loop.RollBack(ctx, "measured"))
	require.NoError(b, c.Stores.Close(context.WithoutCancel(ctx)))
}

func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}
