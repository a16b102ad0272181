package trackingtest_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

// recorder is a TB that keeps what a failing test would print, and goes on.
type recorder struct{ text string }

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) { r.text = fmt.Sprintf(format, args...) }

func finishedRun(t *testing.T, c *tracking.Client, auc float64) *tracking.Run {
	t.Helper()
	run, err := c.Start(t.Context(), "churn", &tracking.RunOptions{Name: "mlp"})
	require.NoError(t, err)
	run.LogMetric("auc", 0.5, 1)
	run.LogMetric("auc", auc, 2)
	run.LogParam("lr", "0.1")
	require.NoError(t, run.Finish(t.Context()))
	return run
}

func TestAssertionsThatHold(t *testing.T) {
	c := trackingtest.New(t)
	finishedRun(t, c, 0.9)
	trackingtest.RequireMetric(t, c, "auc", 0.9)
	trackingtest.RequireMetric(t, c, "auc", 0.9+5e-10)
	trackingtest.RequireMetricAtLeast(t, c, "auc", 0.9)
	trackingtest.RequireMetricAtLeast(t, c, "auc", 0.8)
	trackingtest.RequireMetricAtMost(t, c, "auc", 0.9)
	trackingtest.RequireMetricAtMost(t, c, "auc", 1)
	trackingtest.RequireParam(t, c, "lr", "0.1")

	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, 0} {
		finishedRun(t, c, v)
		trackingtest.RequireMetric(t, c, "auc", v)
	}
	finishedRun(t, c, 1e12)
	trackingtest.RequireMetric(t, c, "auc", 1e12+100) // within 1e-9 of the value
}

func TestAssertionsThatFail(t *testing.T) {
	c := trackingtest.New(t)
	run := finishedRun(t, c, 0.9)
	who := "run " + run.ID() + ` ("mlp")`
	tests := []struct {
		assert func(trackingtest.TB)
		want   string
	}{
		{func(tb trackingtest.TB) { trackingtest.RequireMetric(tb, c, "auc", 0.91) }, who + `: metric "auc" is 0.9 at step 2, want 0.91`},
		{func(tb trackingtest.TB) { trackingtest.RequireMetric(tb, c, "auc", 0.9+2e-9) }, who + `: metric "auc" is 0.9 at step 2, want 0.900000002`},
		{func(tb trackingtest.TB) { trackingtest.RequireMetric(tb, c, "auc", math.NaN()) }, who + `: metric "auc" is 0.9 at step 2, want NaN`},
		{func(tb trackingtest.TB) { trackingtest.RequireMetric(tb, c, "auc", math.Inf(1)) }, who + `: metric "auc" is 0.9 at step 2, want +Inf`},
		{func(tb trackingtest.TB) { trackingtest.RequireMetric(tb, c, "f1", 0.9) }, who + ` has no metric "f1", only map[auc:0.9]`},
		{func(tb trackingtest.TB) { trackingtest.RequireMetricAtLeast(tb, c, "auc", 0.95) }, who + `: metric "auc" is 0.9 at step 2, want at least 0.95`},
		{func(tb trackingtest.TB) { trackingtest.RequireMetricAtMost(tb, c, "auc", 0.85) }, who + `: metric "auc" is 0.9 at step 2, want at most 0.85`},
		{func(tb trackingtest.TB) { trackingtest.RequireParam(tb, c, "lr", "0.2") }, who + `: param "lr" is "0.1", want "0.2"`},
		{func(tb trackingtest.TB) { trackingtest.RequireParam(tb, c, "seed", "1") }, who + ` has no param "seed", only map[lr:0.1]`},
	}
	for _, test := range tests {
		var r recorder
		test.assert(&r)
		require.Equal(t, test.want, r.text)
	}

	finishedRun(t, c, math.NaN())
	for _, assert := range []func(trackingtest.TB, *tracking.Client, string, float64){
		trackingtest.RequireMetric, trackingtest.RequireMetricAtLeast, trackingtest.RequireMetricAtMost,
	} {
		var r recorder
		assert(&r, c, "auc", 0.9)
		require.Contains(t, r.text, `metric "auc" is NaN`)
	}
}

func TestAssertionsWithoutAFinishedRun(t *testing.T) {
	c := trackingtest.New(t)
	var r recorder
	trackingtest.RequireMetric(&r, c, "auc", 0.9)
	require.Equal(t, "no run was started", r.text)

	run, err := c.Start(t.Context(), "churn", &tracking.RunOptions{ID: "r1", Name: "mlp"})
	require.NoError(t, err)
	run.LogMetric("auc", 0.9, 1)
	trackingtest.RequireMetric(&r, c, "auc", 0.9)
	require.Equal(t, `no run has finished: run r1 ("mlp") is RUNNING; did the code call Finish?`, r.text)
	trackingtest.RequireParam(&r, c, "lr", "0.1")
	require.Contains(t, r.text, "did the code call Finish?")

	require.NoError(t, c.Close(t.Context()))
	trackingtest.RequireMetric(&r, c, "auc", 0.9)
	require.Contains(t, r.text, "the client is closed")
}

// closing is a test whose end the test below plays.
type closing struct {
	testing.TB
	cleanup func()
	text    string
}

func (c *closing) Helper()                           {}
func (c *closing) Cleanup(f func())                  { c.cleanup = f }
func (c *closing) Errorf(format string, args ...any) { c.text = fmt.Sprintf(format, args...) }

func TestNewFailsTheTestForWrongRecords(t *testing.T) {
	var tb closing
	c := trackingtest.New(&tb)
	run, err := c.Start(t.Context(), "churn", nil)
	require.NoError(t, err)
	run.LogParam("bad=key", "v")
	tb.cleanup()
	require.Contains(t, tb.text, `param key "bad=key" holds '='`)
}
