package trackingtest_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

// brokenStore names the bug of the store that a child process runs the suite
// on.
const brokenStore = "MLLOOP_TRACKINGTEST_BUG"

// broken is a store with one bug.
type broken struct {
	*trackingmem.Store
	bug string
}

func (b broken) Log(ctx context.Context, id string, batch tracking.Batch) error {
	switch b.bug {
	case "loses metrics":
		batch.Metrics = nil
	case "not atomic":
		if len(batch.Tags) > 0 {
			_ = b.Store.Log(ctx, id, tracking.Batch{Tags: batch.Tags})
		}
	case "rounds to float32":
		batch.Metrics = append([]tracking.Metric(nil), batch.Metrics...)
		for i, m := range batch.Metrics {
			batch.Metrics[i].Value = float64(float32(m.Value))
		}
	case "ignores unknown runs":
		_ = b.Store.Log(ctx, id, batch)
		return nil
	}
	return b.Store.Log(ctx, id, batch)
}

func (b broken) UpdateRun(ctx context.Context, p tracking.RunPatch) (tracking.RunInfo, error) {
	switch b.bug {
	case "keeps the error":
		p.Error = ""
	case "no compare-and-set":
		p.Rev = 0
	}
	return b.Store.UpdateRun(ctx, p)
}

func (b broken) Runs(ctx context.Context, q tracking.RunQuery) ([]tracking.RunRecord, string, error) {
	if b.bug == "no pages" {
		q.Limit = 0
	}
	if b.bug == "ignores tags" {
		q.Tags = nil
	}
	return b.Store.Runs(ctx, q)
}

func TestSuiteOnABrokenStore(t *testing.T) {
	bug := os.Getenv(brokenStore)
	if bug == "" {
		t.Skip("runs only as a child of TestSuiteFindsBugs")
	}
	trackingtest.Run(t, func(*testing.T) tracking.Store { return broken{trackingmem.New(), bug} })
}

func TestSuiteFindsBugs(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	bugs := map[string]string{
		"none":                 "",
		"loses metrics":        "MetricValues",
		"not atomic":           "BatchIsAtomic",
		"rounds to float32":    "MetricValues",
		"ignores unknown runs": "UnknownRun",
		"keeps the error":      "UpdateRun",
		"no compare-and-set":   "UpdateRunOfAnotherRev",
		"no pages":             "RunsPages",
		"ignores tags":         "RunsFilter",
	}
	for bug, failing := range bugs {
		cmd := exec.CommandContext(t.Context(), self, "-test.run", "^TestSuiteOnABrokenStore$")
		cmd.Env = append(os.Environ(), brokenStore+"="+bug)
		out, err := cmd.CombinedOutput()
		if failing == "" {
			require.NoError(t, err, "%s", out)
			continue
		}
		require.Error(t, err, "the suite passes a store that %s", bug)
		require.Contains(t, string(out), "--- FAIL: TestSuiteOnABrokenStore/"+failing, bug)
	}
}
