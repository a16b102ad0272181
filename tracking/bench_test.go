package tracking_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// swallow is a store whose Log costs nothing, so that what is left is the
// client's own cost.
type swallow struct{ *trackingmem.Store }

func (swallow) Log(context.Context, string, tracking.Batch) error { return nil }

// BenchmarkLogMetric is what a training loop pays for one point.
func BenchmarkLogMetric(b *testing.B) {
	c := tracking.New(swallow{trackingmem.New()}, nil)
	run, err := c.Start(context.Background(), "bench", nil)
	require.NoError(b, err)
	b.ReportAllocs()
	step := int64(0)
	for b.Loop() {
		run.LogMetric("validation/loss", 0.5, step)
		step++
	}
	b.ReportMetric(float64(c.Dropped())/float64(b.N), "dropped/op")
	require.NoError(b, c.Close(context.Background()))
}
