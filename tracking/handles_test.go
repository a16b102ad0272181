package tracking_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// handler is a slog.Handler that does something with each line.
type handler struct {
	slog.Handler
	do func(level slog.Level)
}

func (h handler) Handle(_ context.Context, r slog.Record) error {
	h.do(r.Level)
	return nil
}

// The logger may use the run in turn: whatever it is told, no lock is held.
func TestTheLoggerMayLogToTheRun(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Hour} { // in a full queue
		synctest.Test(t, func(t *testing.T) {
			var run *tracking.Run
			var lines atomic.Int64
			store := newFlaky()
			c := tracking.New(store, &tracking.Options{QueueSize: 3, QueueWait: wait,
				Logger: slog.New(handler{slog.NewTextHandler(io.Discard, nil), func(slog.Level) {
					lines.Add(1)
					run.LogMetric("lines", 1, lines.Load())
					run.SetTag("said", "so")
					_ = run.Flush(t.Context())
				}})})
			run = start(t, c, nil)
			run.LogMetric("bad=key", 1, 1)
			store.fail(errDiskFull)
			go func() {
				for i := range int64(10) {
					run.LogMetric("loss", 1, i)
				}
			}()
			time.Sleep(5 * time.Second) // the flusher tells that records wait
			store.fail(nil)
			time.Sleep(5 * time.Second) // and that they no longer do
			run.LogParam("p", "1")
			run.LogParam("p", "2")
			require.ErrorIs(t, run.Flush(t.Context()), nil)
			require.Error(t, run.Finish(t.Context()))
			require.GreaterOrEqual(t, lines.Load(), int64(4))
			require.NoError(t, c.Close(t.Context()))
		})
	}
}

// A status that is not RUNNING is final, whichever handle set it.
func TestTwoHandlesOnOneRun(t *testing.T) {
	store := trackingmem.New()
	a, b := tracking.New(store, nil), tracking.New(store, nil)
	ra := start(t, a, &tracking.RunOptions{ID: "r"})
	rb := start(t, b, &tracking.RunOptions{ID: "r"})
	rc := start(t, b, &tracking.RunOptions{ID: "r"})
	require.NoError(t, ra.Finish(t.Context()))
	before := fetch(t, a, "r")
	rb.LogMetric("late", 1, 1)
	for range 2 {
		err := rb.Fail(t.Context(), errors.New("boom"))
		require.ErrorIs(t, err, tracking.ErrConflict)
		require.ErrorContains(t, err, "the run is FINISHED already")
	}
	require.Equal(t, before.RunInfo, fetch(t, a, "r").RunInfo)
	require.Contains(t, fetch(t, a, "r").Metrics, "late", "what was logged before is stored all the same")
	require.NoError(t, rc.Finish(t.Context()), "it is what was asked for")
	require.Equal(t, before.RunInfo, fetch(t, a, "r").RunInfo)
	require.NoError(t, a.Close(t.Context()))
	require.NoError(t, b.Close(t.Context()))
}

func TestHandlesThatRaceToTheEnd(t *testing.T) {
	store := trackingmem.New()
	c := tracking.New(store, nil)
	for i := range 50 {
		id := fmt.Sprint("r", i)
		ends := []error{nil, nil}
		var wg sync.WaitGroup
		run, other := start(t, c, &tracking.RunOptions{ID: id}), start(t, c, &tracking.RunOptions{ID: id})
		wg.Go(func() { ends[0] = run.Finish(context.Background()) })
		wg.Go(func() { ends[1] = other.Fail(context.Background(), errors.New("boom")) })
		wg.Wait()
		got := fetch(t, c, id)
		require.EqualValues(t, 2, got.Rev, "one change")
		if ends[0] == nil {
			require.Equal(t, tracking.Finished, got.Status)
			require.ErrorIs(t, ends[1], tracking.ErrConflict)
		} else {
			require.Equal(t, tracking.Failed, got.Status)
			require.ErrorIs(t, ends[0], tracking.ErrConflict)
			require.NoError(t, ends[1])
		}
	}
	require.NoError(t, c.Close(t.Context()))
}

func TestFinishDoesNotUndoARename(t *testing.T) {
	store := trackingmem.New()
	c := tracking.New(store, nil)
	run := start(t, c, &tracking.RunOptions{Name: "old"})
	for _, name := range []string{"newer", "newest"} {
		_, err := store.UpdateRun(t.Context(), tracking.RunPatch{ID: run.ID(), Name: &name})
		require.NoError(t, err)
	}
	require.NoError(t, run.Finish(t.Context()))
	got := fetch(t, c, run.ID())
	require.Equal(t, "newest", got.Name)
	require.Equal(t, tracking.Finished, got.Status)
	require.EqualValues(t, 4, got.Rev)
	require.NoError(t, c.Close(t.Context()))
}

// A store that answers Conflict without the run does not make Finish spin.
type stubborn struct{ tracking.Store }

func (stubborn) UpdateRun(context.Context, tracking.RunPatch) (tracking.RunInfo, error) {
	return tracking.RunInfo{}, fault.Errorf(tracking.ErrConflict, "no")
}

func TestAConflictWithoutTheRun(t *testing.T) {
	c := tracking.New(stubborn{trackingmem.New()}, nil)
	require.ErrorIs(t, start(t, c, nil).Finish(t.Context()), tracking.ErrConflict)
	require.NoError(t, c.Close(t.Context()))
}

// slow is a file whose bytes come when the gate opens.
type slow struct {
	io.Reader
	gate chan struct{}
}

func (s slow) Read(p []byte) (int, error) {
	<-s.gate
	return s.Reader.Read(p)
}

func TestNoArtifactAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tracking.New(trackingmem.New(), &tracking.Options{Artifacts: artifact.Memory()})
		run := start(t, c, nil)
		gate, done := make(chan struct{}), make(chan error)
		go func() { done <- run.LogArtifact(t.Context(), "late", slow{strings.NewReader("x"), gate}) }()
		synctest.Wait()
		require.NoError(t, run.Finish(t.Context()))
		close(gate)
		require.ErrorIs(t, <-done, tracking.ErrConflict)
		require.Empty(t, fetch(t, c, run.ID()).Artifacts)
		require.NoError(t, c.Close(t.Context()))
	})
}

// A burst that outruns the queue waits for room, if told so, and is stored
// whole.
func TestQueueWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tracking.New(trackingmem.New(), &tracking.Options{QueueSize: 100, QueueWait: time.Minute})
		run := start(t, c, nil)
		const points = 20_000
		for i := range int64(points) {
			run.LogMetric("loss", 1, i)
		}
		require.NoError(t, run.Finish(t.Context()))
		stored, err := c.Metrics(t.Context(), run.ID(), "loss")
		require.NoError(t, err)
		require.Len(t, stored, points)
		require.Zero(t, c.Dropped())
		require.NoError(t, c.Close(t.Context()))
	})
}

// Waiting for room ends in time, and at the run's end or the client's.
func TestQueueWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFlaky()
		c := tracking.New(store, &tracking.Options{QueueSize: 1, QueueWait: time.Minute})
		run, other := start(t, c, nil), start(t, c, nil)
		store.fail(errDiskFull)
		run.LogMetric("loss", 1, 1)
		began := time.Now()
		run.LogMetric("loss", 1, 2)
		require.Equal(t, time.Minute, time.Since(began))
		require.EqualValues(t, 1, run.Dropped())

		var blocked sync.WaitGroup
		blocked.Go(func() { run.LogParam("p", "v") })
		blocked.Go(func() { other.LogMetric("loss", 1, 1) })
		synctest.Wait()
		began = time.Now()
		require.ErrorIs(t, run.Finish(t.Context()), tracking.ErrUnavailable)
		require.ErrorIs(t, c.Close(t.Context()), tracking.ErrUnavailable)
		blocked.Wait()
		require.Zero(t, time.Since(began))
	})
}

// A handle that is given up leaves the memory, once its records are stored.
func TestAbandonedHandlesAreForgotten(t *testing.T) {
	c := tracking.New(trackingmem.New(), &tracking.Options{FlushInterval: time.Millisecond})
	const n = 100
	var gone atomic.Int64
	for i := range n {
		run := start(t, c, nil)
		if i%2 == 0 {
			run.LogMetric("loss", 1, 1)
		}
		if i%4 == 0 {
			run.LogMetric("bad=key", 1, 1)
		}
		runtime.AddCleanup(run, func(int) { gone.Add(1) }, 0)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return gone.Load() == n
	}, 10*time.Second, 5*time.Millisecond)
	require.ErrorContains(t, c.Close(t.Context()), "bad=key", "what was wrong is still told")
}

// The troubles of a million runs do not fill the memory, and are counted.
func TestTroublesAreBounded(t *testing.T) {
	c := tracking.New(trackingmem.New(), nil)
	for i := range 150 {
		start(t, c, &tracking.RunOptions{ID: fmt.Sprintf("r%03d", i)}).LogMetric("bad=key", 1, 1)
	}
	err := c.Close(t.Context())
	require.ErrorContains(t, err, "run r099: ")
	require.ErrorContains(t, err, "records of 50 more runs were wrong or dropped")
}

func TestQuestionsWithImpossibleText(t *testing.T) {
	c := tracking.New(trackingmem.New(), nil)
	for _, bad := range []string{"a\x00", "\xff"} {
		_, err := c.Experiment(t.Context(), bad)
		require.ErrorIs(t, err, tracking.ErrInvalid)
		_, err = c.Run(t.Context(), bad)
		require.ErrorIs(t, err, tracking.ErrInvalid)
		_, err = c.Metrics(t.Context(), "r", bad)
		require.ErrorIs(t, err, tracking.ErrInvalid)
		_, err = c.Artifact(t.Context(), "r", bad)
		require.ErrorIs(t, err, tracking.ErrInvalid)
		_, _, err = c.Runs(t.Context(), tracking.RunQuery{Tags: map[string]string{"k": bad}})
		require.ErrorIs(t, err, tracking.ErrInvalid)
	}
	require.NoError(t, c.Close(t.Context()))
}
