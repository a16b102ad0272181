package trackingtest

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// New returns a client whose runs and artifacts are kept in memory. It is
// closed when the test ends, which fails the test if a record was wrong.
func New(t testing.TB) *tracking.Client {
	t.Helper()
	c := tracking.New(trackingmem.New(), &tracking.Options{Artifacts: artifact.Memory()})
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("trackingtest: %v", err)
		}
	})
	return c
}

// TB is the part of testing.TB that assertions need.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// tolerance is how far, relative to the larger of 1 and the wanted value, a
// metric may be off and still be equal: rounding, no more.
const tolerance = 1e-9

// RequireMetric fails the test unless the latest value of the metric, in the
// newest finished run, is want within 1e-9 (relative, above 1). NaN is equal to
// NaN.
func RequireMetric(t TB, c *tracking.Client, key string, want float64) {
	t.Helper()
	requireMetric(t, c, key, fmt.Sprintf("%v", want), func(got float64) bool {
		return got == want || math.IsNaN(got) && math.IsNaN(want) ||
			math.Abs(got-want) <= tolerance*max(1, math.Abs(want)) && !math.IsInf(want, 0)
	})
}

// RequireMetricAtLeast fails the test unless the latest value of the metric,
// in the newest finished run, is floor or more. NaN is not.
func RequireMetricAtLeast(t TB, c *tracking.Client, key string, floor float64) {
	t.Helper()
	requireMetric(t, c, key, fmt.Sprintf("at least %v", floor), func(got float64) bool { return got >= floor })
}

// RequireMetricAtMost fails the test unless the latest value of the metric, in
// the newest finished run, is ceiling or less. NaN is not.
func RequireMetricAtMost(t TB, c *tracking.Client, key string, ceiling float64) {
	t.Helper()
	requireMetric(t, c, key, fmt.Sprintf("at most %v", ceiling), func(got float64) bool { return got <= ceiling })
}

// RequireParam fails the test unless the param, in the newest finished run,
// has the value want.
func RequireParam(t TB, c *tracking.Client, key, want string) {
	t.Helper()
	run, ok := newestFinished(t, c)
	if !ok {
		return
	}
	got, ok := run.Params[key]
	switch {
	case !ok:
		t.Fatalf("run %s (%q) has no param %q, only %v", run.ID, run.Name, key, run.Params)
	case got != want:
		t.Fatalf("run %s (%q): param %q is %q, want %q", run.ID, run.Name, key, got, want)
	}
}

func requireMetric(t TB, c *tracking.Client, key, want string, good func(got float64) bool) {
	t.Helper()
	run, ok := newestFinished(t, c)
	if !ok {
		return
	}
	m, ok := run.Metrics[key]
	switch {
	case !ok:
		t.Fatalf("run %s (%q) has no metric %q, only %v", run.ID, run.Name, key, latestValues(run))
	case !good(m.Value):
		t.Fatalf("run %s (%q): metric %q is %v at step %d, want %s", run.ID, run.Name, key, m.Value, m.Step, want)
	}
}

func latestValues(run tracking.RunRecord) map[string]float64 {
	values := map[string]float64{}
	for key, m := range run.Metrics {
		values[key] = m.Value
	}
	return values
}

// newestFinished returns the run that assertions look at. A TB whose Fatalf
// returns is told so, and ok is false.
func newestFinished(t TB, c *tracking.Client) (run tracking.RunRecord, ok bool) {
	t.Helper()
	ctx := context.Background()
	runs, _, err := c.Runs(ctx, tracking.RunQuery{Statuses: []tracking.Status{tracking.Finished}, Limit: 1})
	if err != nil {
		t.Fatalf("trackingtest: %v", err)
		return run, false
	}
	if len(runs) == 1 {
		return runs[0], true
	}
	others, _, err := c.Runs(ctx, tracking.RunQuery{Limit: 1})
	if err != nil {
		t.Fatalf("trackingtest: %v", err)
		return run, false
	}
	if len(others) == 0 {
		t.Fatalf("no run was started")
		return run, false
	}
	t.Fatalf("no run has finished: run %s (%q) is %s; did the code call Finish?", others[0].ID, others[0].Name, others[0].Status)
	return run, false
}
