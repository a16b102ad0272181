package tracking_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingmem"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

func start(t *testing.T, c *tracking.Client, opts *tracking.RunOptions) *tracking.Run {
	t.Helper()
	run, err := c.Start(t.Context(), "churn", opts)
	require.NoError(t, err)
	return run
}

func fetch(t *testing.T, c *tracking.Client, id string) tracking.RunRecord {
	t.Helper()
	r, err := c.Run(t.Context(), id)
	require.NoError(t, err)
	return r
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func TestRunFromStartToFinish(t *testing.T) {
	now := &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))}
	files := artifact.Memory()
	c := tracking.New(trackingmem.New(), &tracking.Options{Now: now.Now, Artifacts: files})
	defer func() { require.NoError(t, c.Close(t.Context())) }()

	run := start(t, c, &tracking.RunOptions{Name: "mlp", Tags: map[string]string{"team": "red"}})
	began := time.Date(2026, 11, 23, 11, 0, 0, 123000000, time.UTC)
	require.Equal(t, began, run.Info().StartedAt, "UTC milliseconds")
	require.Len(t, run.ID(), 32)
	require.Equal(t, tracking.Running, fetch(t, c, run.ID()).Status)
	require.Equal(t, "red", fetch(t, c, run.ID()).Tags["team"], "durable when Start returns")

	run.LogParams(map[string]string{"lr": "1e-3", "layers": "2"})
	run.LogParam("seed", "1")
	run.LogParam("seed", "1") // again is a no-op
	run.SetTag("team", "blue")
	run.SetTag("team", "green")
	run.LogInput(tracking.Input{Name: "customers", Digest: "d", Context: "training", Rows: 10})
	for step := range int64(3) {
		run.LogMetric("loss", 1/float64(step+1), step)
	}
	run.LogMetric("nan", math.NaN(), 0)
	require.NoError(t, run.LogArtifact(t.Context(), "plots/roc.svg", strings.NewReader("<svg/>")))
	require.Equal(t, "plots/roc.svg", fetch(t, c, run.ID()).Artifacts[0].Path, "durable when LogArtifact returns")
	now.now = now.now.Add(time.Minute)
	require.NoError(t, run.Finish(t.Context()))
	require.NoError(t, run.Finish(t.Context()), "again is a no-op")

	got := fetch(t, c, run.ID())
	require.Equal(t, tracking.Finished, got.Status)
	require.Equal(t, began.Add(time.Minute), got.EndedAt)
	require.Equal(t, map[string]string{"lr": "1e-3", "layers": "2", "seed": "1"}, got.Params)
	require.Equal(t, map[string]string{"team": "green"}, got.Tags)
	require.Equal(t, []tracking.Input{{Name: "customers", Digest: "d", Context: "training", Rows: 10}}, got.Inputs)
	require.Equal(t, tracking.Metric{Key: "loss", Value: 1.0 / 3, Step: 2, Time: began}, got.Metrics["loss"])
	require.True(t, math.IsNaN(got.Metrics["nan"].Value))
	points, err := c.Metrics(t.Context(), run.ID(), "loss")
	require.NoError(t, err)
	require.Len(t, points, 3)
	requireArtifact(t, run, "plots/roc.svg", "<svg/>")
	require.Zero(t, c.Dropped())
}

func requireArtifact(t *testing.T, run *tracking.Run, path, want string) {
	t.Helper()
	content, err := run.Artifact(t.Context(), path)
	require.NoError(t, err)
	b, err := io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}

func TestStartResumes(t *testing.T) {
	store := trackingmem.New()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	opts := &tracking.Options{Now: func() time.Time { return at }}
	step := func(c *tracking.Client) *tracking.Run {
		run := start(t, c, &tracking.RunOptions{ID: "churn-7", Name: "fit"})
		run.LogParam("lr", "0.1")
		run.LogMetric("loss", 0.5, 1)
		require.NoError(t, run.Flush(t.Context()))
		return run
	}
	first := tracking.New(store, opts)
	step(first)
	require.NoError(t, first.Close(t.Context())) // the process ends in the step

	second := tracking.New(store, opts)
	defer func() { require.NoError(t, second.Close(t.Context())) }()
	run := step(second) // the step is done again
	require.NoError(t, run.Finish(t.Context()))
	points, err := second.Metrics(t.Context(), "churn-7", "loss")
	require.NoError(t, err)
	require.Len(t, points, 1, "with the same clock nothing is doubled")

	_, err = second.Start(t.Context(), "churn", &tracking.RunOptions{ID: "churn-7"})
	require.ErrorIs(t, err, tracking.ErrConflict)
	require.EqualError(t, err, `tracking: start run in "churn": run churn-7 is FINISHED: a run that has ended cannot go on, choose another id`)

	start(t, second, &tracking.RunOptions{ID: "open"})
	_, err = second.Start(t.Context(), "elsewhere", &tracking.RunOptions{ID: "open"})
	require.ErrorIs(t, err, tracking.ErrConflict)
}

func TestStartConcurrentlyMakesOneExperiment(t *testing.T) {
	c := trackingtest.New(t)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = c.Start(context.Background(), "churn", nil) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	es, err := c.Experiments(t.Context())
	require.NoError(t, err)
	require.Len(t, es, 1)
}

func TestFail(t *testing.T) {
	c := trackingtest.New(t)
	run := start(t, c, nil)
	run.LogMetric("loss", math.Inf(1), 3)
	require.NoError(t, run.Fail(t.Context(), errors.New("loss diverged")))
	got := fetch(t, c, run.ID())
	require.Equal(t, tracking.Failed, got.Status)
	require.Equal(t, "loss diverged", got.Error)
	require.Equal(t, math.Inf(1), got.Metrics["loss"].Value, "what was logged is kept")
	require.ErrorIs(t, run.Finish(t.Context()), tracking.ErrConflict)
	require.Equal(t, tracking.Failed, fetch(t, c, run.ID()).Status)

	ctx, cancel := context.WithCancel(t.Context())
	run = start(t, c, nil)
	run.LogMetric("loss", 1, 1)
	cancel()
	require.NoError(t, run.Fail(ctx, fmt.Errorf("fit: %w", ctx.Err())), "a context that is done does not keep it from being stored")
	got = fetch(t, c, run.ID())
	require.Equal(t, tracking.Killed, got.Status)
	require.Contains(t, got.Metrics, "loss")

	run = start(t, c, nil)
	require.NoError(t, run.Fail(t.Context(), nil))
	require.Equal(t, "failed", fetch(t, c, run.ID()).Error)

	run = start(t, c, nil)
	require.NoError(t, run.Fail(t.Context(), errors.New("\xff\x00"+strings.Repeat("é", 10_000))))
	require.Equal(t, "\uFFFD"+strings.Repeat("é", 5998), fetch(t, c, run.ID()).Error, "cut and mended")
}

func TestParamWithAnotherValue(t *testing.T) {
	c := tracking.New(trackingmem.New(), nil)
	run := start(t, c, nil)
	run.LogParams(map[string]string{"lr": "0.1", "layers": "2"})
	require.NoError(t, run.Flush(t.Context()))
	run.LogParams(map[string]string{"lr": "0.2", "seed": "1"}) // stored before
	run.LogParam("seed", "2")                                  // in the queue
	run.LogMetric("auc", 0.9, 1)
	run.SetTag("t", "v")
	for range 2 {
		err := run.Finish(t.Context())
		require.ErrorIs(t, err, tracking.ErrAlreadyExists)
		require.EqualError(t, err, "tracking: run "+run.ID()+` is FINISHED, but not every record is stored: `+
			`param "lr" is "0.1" already and cannot become "0.2"; param "seed" is "1" already and cannot become "2"`)
	}
	got := fetch(t, c, run.ID())
	require.Equal(t, tracking.Finished, got.Status)
	require.Equal(t, map[string]string{"lr": "0.1", "layers": "2", "seed": "1"}, got.Params)
	require.Equal(t, 0.9, got.Metrics["auc"].Value, "nothing else is lost")
	require.Equal(t, "v", got.Tags["t"])
	require.NoError(t, c.Close(t.Context()), "the error was reported by Finish")
}

func TestCloseReportsRunsThatDidNotEnd(t *testing.T) {
	store := trackingmem.New()
	c := tracking.New(store, nil)
	run := start(t, c, nil)
	run.LogMetric("loss", 1, 1)
	run.LogParam("p", "1")
	run.LogParam("p", "2")
	err := c.Close(t.Context())
	require.ErrorIs(t, err, tracking.ErrAlreadyExists, "never silently")
	require.ErrorIs(t, c.Close(t.Context()), tracking.ErrAlreadyExists, "again says so again")

	run.LogMetric("late", 1, 1)
	require.EqualValues(t, 2, run.Dropped(), "the late point, and the param that was refused")
	require.EqualValues(t, 2, c.Dropped())
	require.ErrorIs(t, run.LogArtifact(t.Context(), "a", strings.NewReader("")), tracking.ErrClosed)
	require.ErrorIs(t, run.Flush(t.Context()), tracking.ErrClosed)
	require.ErrorIs(t, run.Finish(t.Context()), tracking.ErrClosed)
	_, err = c.Start(t.Context(), "churn", nil)
	require.ErrorIs(t, err, tracking.ErrClosed)
	_, err = c.Run(t.Context(), run.ID())
	require.ErrorIs(t, err, tracking.ErrClosed)
	_, err = c.Artifact(t.Context(), run.ID(), "a")
	require.ErrorIs(t, err, tracking.ErrClosed)

	got, err := store.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, tracking.Running, got.Status, "it can be resumed")
	require.Contains(t, got.Metrics, "loss")
}

func TestNilRun(t *testing.T) {
	var run *tracking.Run
	run.LogMetric("loss", 1, 1)
	run.LogParam("a", "b")
	run.LogParams(map[string]string{"a": "b"})
	run.SetTag("a", "b")
	run.LogInput(tracking.Input{})
	require.NoError(t, run.LogArtifact(t.Context(), "a", nil))
	require.NoError(t, run.Flush(t.Context()))
	require.NoError(t, run.Fail(t.Context(), errors.New("x")))
	require.NoError(t, run.Finish(t.Context()))
	require.Empty(t, run.ID())
	require.Zero(t, run.Info())
	require.Zero(t, run.Dropped())
	_, err := run.Artifact(t.Context(), "a")
	require.ErrorIs(t, err, tracking.ErrNotFound)
}

func TestArtifactErrors(t *testing.T) {
	c := trackingtest.New(t)
	run := start(t, c, nil)
	for _, path := range []string{"", ".", "/a", "a/", "a//b", "../a", "a/../b", `a\b`, "a\xff", strings.Repeat("a", 1001)} {
		err := run.LogArtifact(t.Context(), path, strings.NewReader("x"))
		require.ErrorIs(t, err, tracking.ErrInvalid, "%q", path)
	}
	require.ErrorIs(t, run.LogArtifact(t.Context(), "a", nil), tracking.ErrInvalid)
	_, err := c.Artifact(t.Context(), run.ID(), "none")
	require.EqualError(t, err, `tracking: get artifact "none" of run `+run.ID()+`: the run has no such artifact`)
	require.ErrorIs(t, err, tracking.ErrNotFound)
	_, err = c.Artifact(t.Context(), "nobody", "none")
	require.ErrorIs(t, err, tracking.ErrNotFound)

	bare := tracking.New(trackingmem.New(), nil)
	defer func() { require.NoError(t, bare.Close(t.Context())) }()
	run = start(t, bare, nil)
	err = run.LogArtifact(t.Context(), "a", strings.NewReader("x"))
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	require.ErrorContains(t, err, "set tracking.Options.Artifacts")
}

func TestReading(t *testing.T) {
	c := trackingtest.New(t)
	var want []string
	for i := range 5 {
		run := start(t, c, &tracking.RunOptions{ID: fmt.Sprintf("run%d", i)})
		require.NoError(t, run.Finish(t.Context()))
		want = append([]string{run.ID()}, want...)
	}
	e, err := c.Experiment(t.Context(), "churn")
	require.NoError(t, err)
	var got []string
	for run, err := range c.AllRuns(t.Context(), tracking.RunQuery{ExperimentID: e.ID, Limit: 2}) {
		require.NoError(t, err)
		got = append(got, run.ID)
	}
	require.ElementsMatch(t, want, got)
	for run, err := range c.AllRuns(t.Context(), tracking.RunQuery{}) {
		require.NoError(t, err)
		require.Equal(t, got[0], run.ID)
		break
	}
	calls := 0
	for _, err := range c.AllRuns(t.Context(), tracking.RunQuery{Page: "nonsense"}) {
		require.ErrorIs(t, err, tracking.ErrInvalid)
		calls++
	}
	require.Equal(t, 1, calls)

	_, err = c.Experiment(t.Context(), "none")
	require.EqualError(t, err, `tracking: get experiment "none": not found`)
	_, err = c.Run(t.Context(), "none")
	require.EqualError(t, err, "tracking: get run none: not found")
	_, err = c.Metrics(t.Context(), "none", "loss")
	require.ErrorIs(t, err, tracking.ErrNotFound)
	_, _, err = c.Runs(t.Context(), tracking.RunQuery{Limit: -1, Statuses: []tracking.Status{"DONE"}})
	require.ErrorIs(t, err, tracking.ErrInvalid)
	require.ErrorContains(t, err, "limit -1")
	require.ErrorContains(t, err, `status "DONE"`)
}

func TestUnimplementedStore(t *testing.T) {
	var s tracking.Store = struct{ tracking.UnimplementedStore }{}
	c := tracking.New(s, nil)
	_, err := c.Start(t.Context(), "churn", nil)
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	_, err = c.Experiments(t.Context())
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	_, err = c.Run(t.Context(), "r")
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	_, _, err = c.Runs(t.Context(), tracking.RunQuery{})
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	_, err = c.Metrics(t.Context(), "r", "k")
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	_, err = s.UpdateRun(t.Context(), tracking.RunPatch{})
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	for _, err := range []error{
		s.CreateExperiment(t.Context(), tracking.Experiment{}),
		s.CreateRun(t.Context(), tracking.RunInfo{}),
		s.Log(t.Context(), "r", tracking.Batch{}),
	} {
		require.ErrorIs(t, err, tracking.ErrUnsupported)
	}
	require.NoError(t, c.Close(t.Context()))
}
