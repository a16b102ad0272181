package retrain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// TestUnansweredRowsCountAgainstTheCanary has a canary that is right on all that
// it answers, and answers no row that it would get wrong.
func TestUnansweredRowsCountAgainstTheCanary(t *testing.T) {
	losses, err := judge.NewLosses(1, &judge.WatchOptions{Margin: 0.1, Alpha: watchAlpha})
	require.NoError(t, err)
	both := []frame.Value{no, yes}
	c := &canaryWatch{Champion: 1, Challenger: 2, Metric: metric.NameAccuracy, Losses: losses, own: both, theirs: both}
	for range 1000 {
		for _, p := range []serve.Prediction{
			logged("a", serve.Primary, 1, 0, 1), logged("b", serve.Canary, 2, 0, 1), logged("c", serve.Primary, 1, 0, 1),
		} {
			if p.ID == "c" {
				p.Status = frame.Fallback
			}
			c.label(serve.LabelledPrediction{Prediction: p, Truth: serve.Label{Value: yes}})
		}
	}
	w := c.Losses.Judge()
	require.Equal(t, 1000, c.Labels, "of answers")
	require.Equal(t, 2000, w.Canary)
	require.Equal(t, 1000, w.Primary)
	require.InDelta(t, 0.5, w.Diff, 1e-9)
	require.Equal(t, judge.Fail, w.Outcome)
}
