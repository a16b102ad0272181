package tracking_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// picky is a store that refuses batches which hold a poisoned record.
type picky struct {
	tracking.Store
	err error // what it says

	mu    sync.Mutex
	calls int
}

func poisoned(b tracking.Batch) bool {
	for _, m := range b.Metrics {
		if m.Key == "poison" {
			return true
		}
	}
	for _, pairs := range []map[string]string{b.Params, b.Tags} {
		if _, ok := pairs["poison"]; ok {
			return true
		}
	}
	for _, in := range b.Inputs {
		if in.Name == "poison" {
			return true
		}
	}
	return false
}

func (p *picky) Log(ctx context.Context, id string, b tracking.Batch) error {
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	if poisoned(b) {
		return p.err
	}
	return p.Store.Log(ctx, id, b)
}

// Of a batch only the wrong records are lost, wherever they stand and whatever
// the store says.
func TestAWrongRecordDoesNotTakeItsBatchAlong(t *testing.T) {
	for name, refusal := range map[string]error{
		"without a kind": errors.New("value out of range"),
		"invalid":        fmt.Errorf("remote: %w", tracking.ErrInvalid),
		"exists":         fault.Errorf(tracking.ErrAlreadyExists, "param poison exists"),
	} {
		for _, at := range []int{0, 1, 499, 500, 998, 999, 1500} {
			store := &picky{Store: trackingmem.New(), err: refusal}
			c := tracking.New(store, &tracking.Options{FlushInterval: time.Hour})
			run := start(t, c, nil)
			for i := range 2000 {
				if i == at {
					run.LogMetric("poison", 1, 1)
				}
				run.LogMetric("fine", 1, int64(i))
			}
			run.LogParam("p", "v")
			run.SetTag("poison", "v")
			run.SetTag("t", "v")
			run.LogInput(tracking.Input{Name: "i", Digest: "d"})
			err := run.Finish(t.Context())
			require.ErrorContains(t, err, refusal.Error(), name)
			if name != "exists" {
				require.ErrorContains(t, err, `metric "poison" at step 1: `, name)
				require.ErrorContains(t, err, `tag "poison": `, name)
			}
			require.EqualValues(t, 2, run.Dropped(), "%s at %d", name, at)
			require.Less(t, store.calls, 80, "%s at %d", name, at)
			got := fetch(t, c, run.ID())
			require.Equal(t, tracking.Finished, got.Status)
			require.Equal(t, map[string]string{"p": "v"}, got.Params)
			require.Equal(t, map[string]string{"t": "v"}, got.Tags)
			require.Len(t, got.Inputs, 1)
			points, err := c.Metrics(t.Context(), run.ID(), "fine")
			require.NoError(t, err)
			require.Len(t, points, 2000, "%s at %d", name, at)
			require.NoError(t, c.Close(t.Context()), "Finish has told")
		}
	}
}

// A store that refuses every record costs a bounded number of calls.
func TestAStoreThatRefusesEveryRecord(t *testing.T) {
	store := &picky{Store: trackingmem.New(), err: fault.Errorf(tracking.ErrInvalid, "read only")}
	c := tracking.New(store, &tracking.Options{FlushInterval: time.Hour})
	run := start(t, c, nil)
	for i := range int64(1000) {
		run.LogMetric("poison", 1, i)
	}
	err := run.Finish(t.Context())
	require.ErrorContains(t, err, "records: read only")
	require.EqualValues(t, 1000, run.Dropped())
	require.Less(t, store.calls, 600)
	require.Equal(t, tracking.Finished, fetch(t, c, run.ID()).Status)
	require.NoError(t, c.Close(t.Context()))
}

// A run that is gone takes no records: they are not tried one by one.
func TestARunThatIsGone(t *testing.T) {
	store := newFlaky()
	c := tracking.New(store, &tracking.Options{FlushInterval: time.Hour})
	run := start(t, c, nil)
	for i := range int64(999) {
		run.LogMetric("loss", 1, i)
	}
	calls := 0
	store.failWith(func() error { calls++; return fault.Errorf(tracking.ErrNotFound, "not found") })
	require.NoError(t, run.Flush(t.Context()))
	require.Equal(t, 2, calls)
	require.EqualValues(t, 999, run.Dropped())
	err := c.Close(t.Context())
	require.ErrorIs(t, err, tracking.ErrNotFound)
	require.ErrorContains(t, err, "999 records: not found")
}

// An error that says nothing is tried for a minute, then told.
func TestAnErrorWithoutAKindIsNotTriedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFlaky()
		c := tracking.New(store, nil)
		run := start(t, c, nil)
		store.fail(errors.New("computer says no"))
		run.LogMetric("loss", 1, 1)
		time.Sleep(50 * time.Second)
		require.Zero(t, run.Dropped(), "it may be a passing outage")
		require.ErrorContains(t, run.Finish(t.Context()), "computer says no")
		time.Sleep(20 * time.Second)
		require.EqualValues(t, 1, run.Dropped())
		store.fail(nil)
		err := run.Finish(t.Context())
		require.ErrorContains(t, err, "is FINISHED, but not every record is stored: 1 records: given up after 1m0s: computer says no")
		require.Equal(t, tracking.Finished, fetch(t, c, run.ID()).Status)
		require.NoError(t, c.Close(t.Context()))
	})
}

// A store that takes questions but no record, and says nothing, is out of order:
// nothing is dropped for a minute.
func TestAStoreThatTakesNoRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, refusal := range map[string]error{"without a kind": errors.New("no"), "denied": fault.Errorf(tracking.ErrDenied, "read-only role")} {
			store := &picky{Store: trackingmem.New(), err: refusal}
			c := tracking.New(store, nil)
			run := start(t, c, nil)
			for i := range int64(100) {
				run.LogMetric("poison", 1, i)
			}
			time.Sleep(50 * time.Second)
			require.ErrorContains(t, run.Finish(t.Context()), refusal.Error(), name)
			require.Zero(t, run.Dropped(), name)
			require.Equal(t, tracking.Running, fetch(t, c, run.ID()).Status)
			time.Sleep(time.Minute)
			err := run.Finish(t.Context())
			require.ErrorContains(t, err, refusal.Error())
			if name == "denied" {
				require.Zero(t, run.Dropped(), "a right may be granted at any time")
				require.Error(t, c.Close(t.Context()))
			} else {
				require.EqualValues(t, 100, run.Dropped())
				require.Equal(t, tracking.Finished, fetch(t, c, run.ID()).Status)
				require.NoError(t, c.Close(t.Context()))
			}
		}
	})
}

// An outage that is over within the minute loses nothing, and a later one has
// a minute of its own.
func TestAPassingErrorWithoutAKindLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFlaky()
		c := tracking.New(store, nil)
		run := start(t, c, nil)
		for i := range int64(5) {
			store.fail(errors.New("connection reset"))
			run.LogMetric("loss", 1, i)
			time.Sleep(40 * time.Second)
			store.fail(nil)
			time.Sleep(5 * time.Second)
		}
		require.NoError(t, run.Finish(t.Context()))
		points, err := c.Metrics(t.Context(), run.ID(), "loss")
		require.NoError(t, err)
		require.Len(t, points, 5)
		require.NoError(t, c.Close(t.Context()))
	})
}

// one is a store that does something else with one of its runs.
type one struct {
	tracking.Store
	run string
	log func(ctx context.Context) error
}

func (o *one) Log(ctx context.Context, id string, b tracking.Batch) error {
	if id == o.run {
		return o.log(ctx)
	}
	return o.Store.Log(ctx, id, b)
}

// A run whose records the store does not take, fast or slowly, keeps nobody
// else's out.
func TestOneBadRunDoesNotStarveOthers(t *testing.T) {
	for name, log := range map[string]func(ctx context.Context) error{
		"unavailable":    func(context.Context) error { return errDiskFull },
		"without a kind": func(context.Context) error { return errors.New("no") },
		"hangs":          func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &one{Store: trackingmem.New(), run: "bad", log: log}
				c := tracking.New(store, &tracking.Options{QueueSize: 1000})
				bad, good := start(t, c, &tracking.RunOptions{ID: "bad"}), start(t, c, &tracking.RunOptions{ID: "good"})
				for i := range int64(5000) {
					bad.LogMetric("loss", 1, i)
				}
				for i := range int64(20) {
					for j := range int64(100) {
						good.LogMetric("loss", 1, i*100+j)
					}
					time.Sleep(2 * time.Second)
				}
				require.Zero(t, good.Dropped())
				points, err := c.Metrics(t.Context(), "good", "loss")
				require.NoError(t, err)
				require.Len(t, points, 2000, "written in the background")
				require.NoError(t, good.Finish(t.Context()))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.Error(t, bad.Finish(ctx))
				require.ErrorContains(t, c.Close(ctx), "run bad: ")
			})
		})
	}
}
