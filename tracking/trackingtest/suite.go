package trackingtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
)

// Run checks that stores made by newStore keep the promises of tracking.Store.
// Each case has a new, empty store, which it closes.
func Run(t *testing.T, newStore func(t *testing.T) tracking.Store) {
	run(t, newStore, cases())
	run(t, newStore, concurrentCases())
}

// RunSequential is Run for stores that one goroutine uses at a time, such as
// one inside a transaction: it leaves out what several do at once.
func RunSequential(t *testing.T, newStore func(t *testing.T) tracking.Store) {
	run(t, newStore, cases())
}

func run(t *testing.T, newStore func(t *testing.T) tracking.Store, cases []testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.why)
			s := newStore(t)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			c.check(t, s)
		})
	}
}

type testCase struct {
	name, why string
	check     func(t *testing.T, s tracking.Store)
}

func cases() []testCase {
	return []testCase{
		{"Experiments", "an experiment is found by its name; names and ids are unique; the list is by name", experiments},
		{"CreateRun", "a run needs its experiment and a new id, and comes back as it was stored", createRun},
		{"EmptyRun", "a run without data has empty maps, not nil ones", emptyRun},
		{"UpdateRun", "a patch changes what it names, and the rest stays", updateRun},
		{"UpdateRunOfAnotherRev", "a patch for another revision changes nothing and returns the run as it is", updateRunOfAnotherRev},
		{"UnknownRun", "every call about an unknown run is NotFound", unknownRun},
		{"Params", "a param is written once: the same value is a no-op, another AlreadyExists", params},
		{"BatchIsAtomic", "when a param is refused, nothing of its batch is stored", batchIsAtomic},
		{"Tags", "the last value of a tag counts", tags},
		{"Inputs", "an input is told by name, digest and context; the first one stays", inputs},
		{"Artifacts", "the last file of a path counts; the list is by path", artifacts},
		{"Text", "names and values come back character for character", text},
		{"TextThatCannotBeStored", "U+0000 and what is not UTF-8 are refused by every call, and nothing is stored", unstorableText},
		{"MetricValues", "float64 values come back exactly, NaN and infinities included", metricValues},
		{"MetricLatest", "the latest point is the greatest by step, time, value, within and across batches", metricLatest},
		{"MetricHistory", "all points come back, by step, time, value; equal ones once", metricHistory},
		{"LargeBatch", "1,000 points of many keys are one batch", largeBatch},
		{"EmptyBatch", "an empty batch is no error", emptyBatch},
		{"RunsOrder", "runs come newest first, by start and then id", runsOrder},
		{"RunsFilter", "experiment, statuses and tags select, all together", runsFilter},
		{"RunsPages", "pages put together are the whole list, also when runs are added meanwhile", runsPages},
		{"Copies", "what a caller does to its values does not reach the store", copies},
		{"Cancelled", "a context that is done is an error, and stores nothing", cancelled},
		{"Random1", "a random sequence of calls does what it does to the store in memory", random(1)},
		{"Random2", "another one", random(2)},
		{"Random3", "another one", random(3)},
	}
}

func concurrentCases() []testCase {
	return []testCase{
		{"ConcurrentMetrics", "many writers of one key lose no point and agree on the latest", concurrentMetrics},
		{"ConcurrentParams", "of many writers of one param exactly one value wins", concurrentParams},
		{"ConcurrentUpdates", "of many patches for one revision exactly one wins", concurrentUpdates},
		{"ConcurrentCreate", "of many creators of one name or id exactly one wins", concurrentCreate},
		{"ConcurrentBatches", "batches of the same keys in any order end, all stored", concurrentBatches},
	}
}

// at returns a moment n milliseconds after a fixed one.
func at(n int64) time.Time { return time.UnixMilli(1_700_000_000_000 + n).UTC() }

// newRun stores experiment e and a run of it.
func newRun(t *testing.T, s tracking.Store, id string) tracking.RunInfo {
	t.Helper()
	e := tracking.Experiment{ID: "e", Name: "experiment", CreatedAt: at(0)}
	if _, err := s.Experiment(t.Context(), e.Name); err != nil {
		require.NoError(t, s.CreateExperiment(t.Context(), e))
	}
	r := tracking.RunInfo{ID: id, ExperimentID: e.ID, Name: "run " + id, Status: tracking.Running, StartedAt: at(0), Rev: 1}
	require.NoError(t, s.CreateRun(t.Context(), r))
	return r
}

func log(t *testing.T, s tracking.Store, id string, b tracking.Batch) {
	t.Helper()
	require.NoError(t, s.Log(t.Context(), id, b))
}

func get(t *testing.T, s tracking.Store, id string) tracking.RunRecord {
	t.Helper()
	r, err := s.Run(t.Context(), id)
	require.NoError(t, err)
	return r
}

// printed makes values comparable whose NaN are not equal: floats print
// exactly, and maps print by key.
func printed(v any) string { return fmt.Sprintf("%+v", v) }

func cancelled(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.CreateExperiment(ctx, tracking.Experiment{ID: "x", Name: "x"}), context.Canceled)
	require.ErrorIs(t, s.CreateRun(ctx, tracking.RunInfo{ID: "x", ExperimentID: "e"}), context.Canceled)
	_, err := s.UpdateRun(ctx, tracking.RunPatch{ID: "r", Status: tracking.Failed})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Log(ctx, "r", tracking.Batch{Tags: map[string]string{"k": "v"}}), context.Canceled)
	_, err = s.Run(ctx, "r")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Experiment(ctx, "experiment")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Experiments(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.Runs(ctx, tracking.RunQuery{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.MetricHistory(ctx, "r", "m")
	require.ErrorIs(t, err, context.Canceled)

	r := get(t, s, "r")
	require.Equal(t, tracking.Running, r.Status)
	require.Empty(t, r.Tags)
	es, err := s.Experiments(t.Context())
	require.NoError(t, err)
	require.Len(t, es, 1)
}
