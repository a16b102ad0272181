package tracking_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// flaky is a store in memory whose Log and UpdateRun can be made to fail.
type flaky struct {
	tracking.Store

	mu      sync.Mutex
	err     func() error
	batches []tracking.Batch
	block   chan struct{} // Log waits for it, unless nil
}

func newFlaky() *flaky {
	f := &flaky{Store: trackingmem.New()}
	f.fail(nil)
	return f
}

func (f *flaky) fail(err error) { f.failWith(func() error { return err }) }

func (f *flaky) failWith(err func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *flaky) logged() []tracking.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.batches
}

func (f *flaky) Log(ctx context.Context, id string, b tracking.Batch) error {
	f.mu.Lock()
	err, block := f.err(), f.block
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	f.batches = append(f.batches, b)
	f.mu.Unlock()
	return f.Store.Log(ctx, id, b)
}

func (f *flaky) UpdateRun(ctx context.Context, p tracking.RunPatch) (tracking.RunInfo, error) {
	f.mu.Lock()
	err := f.err()
	f.mu.Unlock()
	if err != nil {
		return tracking.RunInfo{}, err
	}
	return f.Store.UpdateRun(ctx, p)
}

var errDiskFull = fault.Errorf(fault.Unavailable, "the disk is full: free some space and try again")

func TestRecordsAreWrittenAfterTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFlaky()
		c := tracking.New(store, &tracking.Options{FlushInterval: 3 * time.Second})
		run := start(t, c, nil)
		run.LogMetric("loss", 1, 1)
		run.LogParam("lr", "0.1")
		synctest.Wait()
		require.Empty(t, store.logged())
		time.Sleep(3*time.Second + time.Millisecond)
		synctest.Wait()
		require.Len(t, store.logged(), 1, "one batch for all")
		time.Sleep(time.Minute)
		require.Len(t, store.logged(), 1, "nothing waits, nothing is written")
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestAFullBatchIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFlaky()
		c := tracking.New(store, &tracking.Options{FlushInterval: time.Hour})
		run := start(t, c, nil)
		for i := range int64(1000) {
			run.LogMetric("loss", 1, i)
		}
		synctest.Wait()
		require.Len(t, store.logged(), 1)
		require.Len(t, store.logged()[0].Metrics, 1000)
		require.NoError(t, c.Close(t.Context()))
	})
}

// Batches stay within the limits of MLflow's log-batch request, and together
// hold everything in the order of logging.
func TestBatchLimits(t *testing.T) {
	store := newFlaky()
	c := tracking.New(store, &tracking.Options{FlushInterval: time.Hour})
	run := start(t, c, nil)
	for i := range 250 {
		run.LogParam(fmt.Sprintf("p%03d", i), "v")
		run.SetTag(fmt.Sprintf("t%03d", i%120), fmt.Sprint(i))
		run.LogInput(tracking.Input{Name: "n", Digest: fmt.Sprint(i)})
	}
	for i := range 950 {
		run.LogMetric("m", float64(i), int64(i))
	}
	require.NoError(t, run.Finish(t.Context()))
	for _, b := range store.logged() {
		require.LessOrEqual(t, len(b.Metrics), 1000)
		require.LessOrEqual(t, len(b.Params), 100)
		require.LessOrEqual(t, len(b.Tags), 100)
		require.LessOrEqual(t, len(b.Metrics)+len(b.Params)+len(b.Tags)+len(b.Inputs), 1000)
	}
	require.Len(t, store.logged(), 3)
	got := fetch(t, c, run.ID())
	require.Len(t, got.Params, 250)
	require.Len(t, got.Tags, 120)
	require.Len(t, got.Inputs, 250)
	for i := range 120 {
		require.Equal(t, fmt.Sprint(i+(249-i)/120*120), got.Tags[fmt.Sprintf("t%03d", i)], "the last value of a tag")
	}
	points, err := c.Metrics(t.Context(), run.ID(), "m")
	require.NoError(t, err)
	require.Len(t, points, 950)
	require.NoError(t, c.Close(t.Context()))
}

func TestAStoreOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		store := newFlaky()
		c := tracking.New(store, &tracking.Options{Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		run := start(t, c, nil)
		store.fail(errDiskFull)
		for i := range int64(10) {
			run.LogMetric("loss", 1, i)
			time.Sleep(time.Second)
		}
		err := run.Finish(t.Context())
		require.ErrorIs(t, err, tracking.ErrUnavailable)
		require.ErrorContains(t, err, "tracking: end run "+run.ID()+": the disk is full")
		require.Equal(t, tracking.Running, fetch(t, c, run.ID()).Status)

		store.fail(nil)
		require.NoError(t, run.Finish(t.Context()), "Finish may be called again")
		got := fetch(t, c, run.ID())
		require.Equal(t, tracking.Finished, got.Status)
		require.EqualValues(t, 9, got.Metrics["loss"].Step)
		points, err := c.Metrics(t.Context(), run.ID(), "loss")
		require.NoError(t, err)
		require.Len(t, points, 10, "what waited is not lost")
		require.Zero(t, run.Dropped())
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, 1, strings.Count(lines.String(), "records wait for the store"), "said once, not each second")
	})
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFlaky()
		store.block = make(chan struct{})
		c := tracking.New(store, &tracking.Options{QueueSize: 5})
		run, other := start(t, c, nil), start(t, c, nil)
		for i := range int64(8) {
			run.LogMetric("loss", 1, i) // returns although the store hangs
		}
		require.EqualValues(t, 3, run.Dropped())
		other.LogMetric("loss", 1, 1)
		other.LogMetric("loss", 1, 2)
		require.Zero(t, other.Dropped(), "its part of the queue is not another run's")
		other.LogMetric("loss", 1, 3)
		other.SetTag("k", "v")
		other.LogParam("p", "v")
		require.EqualValues(t, 3, other.Dropped(), "the queue is the client's")
		require.EqualValues(t, 6, c.Dropped())

		close(store.block)
		err := run.Finish(t.Context())
		var dropped *tracking.DroppedError
		require.ErrorAs(t, err, &dropped)
		require.EqualValues(t, 3, dropped.Records)
		require.EqualError(t, err, "tracking: run "+run.ID()+" is FINISHED, but not every record is stored: "+
			"3 records were dropped: the queue was full: raise tracking.Options.QueueSize or set QueueWait")
		require.Equal(t, tracking.Finished, fetch(t, c, run.ID()).Status)
		points, err := c.Metrics(t.Context(), run.ID(), "loss")
		require.NoError(t, err)
		require.Len(t, points, 5, "the first ones")
		other.LogMetric("loss", 2, 4)
		require.EqualValues(t, 3, other.Dropped(), "there is room again")
		err = other.Finish(t.Context())
		require.ErrorContains(t, err, "3 records were dropped")
		require.ErrorIs(t, err, tracking.ErrUnavailable)
		require.ErrorContains(t, err, "tag k was dropped: the queue was full; param p was dropped")
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestFinishAndCloseObeyTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFlaky()
		store.block = make(chan struct{})
		c := tracking.New(store, nil)
		run := start(t, c, nil)
		run.LogMetric("loss", 1, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, run.Flush(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, run.Finish(ctx), context.DeadlineExceeded)
		err := c.Close(ctx) // ends the goroutine, or synctest would report it
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "tracking: close: ")
	})
}

func TestRecordsThatTheStoreRefuses(t *testing.T) {
	store := newFlaky()
	c := tracking.New(store, nil)
	run := start(t, c, nil)
	run.LogMetric("loss", 1, 1)
	store.fail(fault.Errorf(fault.Invalid, "the server wants shorter keys"))
	require.NoError(t, run.Flush(t.Context()), "trying again cannot help")
	store.fail(nil)
	run.LogMetric("loss", 2, 2)
	err := run.Finish(t.Context())
	require.ErrorIs(t, err, tracking.ErrInvalid)
	require.ErrorContains(t, err, "the server wants shorter keys")
	require.EqualValues(t, 1, run.Dropped())
	require.EqualValues(t, 2, fetch(t, c, run.ID()).Metrics["loss"].Value)
	require.NoError(t, c.Close(t.Context()))
}

func TestManyGoroutinesLogToOneRun(t *testing.T) {
	c := tracking.New(trackingmem.New(), &tracking.Options{FlushInterval: time.Millisecond})
	run := start(t, c, nil)
	const writers, points = 8, 2000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range points {
				run.LogMetric(fmt.Sprintf("m%d", w), float64(i), int64(i))
				if i%500 == 0 {
					run.SetTag("progress", fmt.Sprint(i))
					if err := run.Flush(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, run.Finish(t.Context()))
	for w := range writers {
		history, err := c.Metrics(t.Context(), run.ID(), fmt.Sprintf("m%d", w))
		require.NoError(t, err)
		require.Len(t, history, points)
	}
	require.Zero(t, run.Dropped())
	require.NoError(t, c.Close(t.Context()))
}

func TestConcurrentFinish(t *testing.T) {
	c := tracking.New(trackingmem.New(), nil)
	run := start(t, c, nil)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = run.Finish(context.Background()) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, c.Close(t.Context()))
}
