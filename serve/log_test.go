package serve_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
)

// moodyStore is a store whose AppendPredictions does as told.
type moodyStore struct {
	serve.Store
	mu     sync.Mutex
	fail   func(ps []serve.Prediction) error
	calls  int
	before func() // each AppendPredictions, outside the mutex
}

func (s *moodyStore) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	s.mu.Lock()
	s.calls++
	fail, before := s.fail, s.before
	s.mu.Unlock()
	if before != nil {
		before()
	}
	if fail != nil {
		if err := fail(ps); err != nil {
			return err
		}
	}
	return s.Store.AppendPredictions(ctx, ps)
}

func (s *moodyStore) set(fail func(ps []serve.Prediction) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func diskFull([]serve.Prediction) error {
	return fault.Errorf(fault.Unavailable, "the disk is full")
}

func count(t *testing.T, s serve.Store) int64 {
	t.Helper()
	c, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	return c.Predictions
}

// TestLossWindow: what was answered is stored within FlushInterval, many
// predictions in one batch.
func TestLossWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &moodyStore{Store: servemem.New()}
		s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{Log: store, FlushInterval: time.Second})
		for i := range 10 {
			ask(t, s.Server, "churn", fmt.Sprint(i))
		}
		time.Sleep(999 * time.Millisecond)
		require.Zero(t, count(t, store))
		require.Equal(t, 10, s.Stats().Queued)
		time.Sleep(2 * time.Millisecond)
		require.EqualValues(t, 10, count(t, store))
		require.Equal(t, 1, store.calls)
		require.Zero(t, s.Stats().Queued)
	})
}

// TestManyDoNotWait: a burst is stored before the interval is over.
func TestManyDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{FlushInterval: time.Hour})
		_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "r", Inputs: servetest.X(make([]float64, 1000)...)})
		require.NoError(t, err)
		synctest.Wait()
		require.EqualValues(t, 1000, count(t, s.Log))
	})
}

// TestStoreIsDown: requests are answered, predictions are kept within the
// bound, dropped and counted beyond it, and stored when the store is back.
func TestStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &moodyStore{Store: servemem.New()}
		store.set(diskFull)
		s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{Log: store, QueueSize: 10})
		for i := range 14 {
			require.Equal(t, "stays", ask(t, s.Server, "churn", fmt.Sprint(i)))
			time.Sleep(time.Second)
		}
		require.EqualValues(t, 4, s.Dropped())
		require.Equal(t, 10, s.Stats().Queued)
		require.Less(t, store.calls, 14, "the pauses between attempts grow")
		require.ErrorIs(t, s.Flush(t.Context()), serve.ErrUnavailable)

		store.set(nil)
		time.Sleep(11 * time.Second)
		require.EqualValues(t, 10, count(t, store), "without anybody's help")
		ps := servetest.RequirePredictions(t, s, "churn", 10)
		require.Equal(t, "0", ps[0].ID)
		require.Equal(t, "9", ps[9].ID)
	})
}

// TestRefusedPrediction: one prediction that the store will never take does
// not hold up the others.
func TestRefusedPrediction(t *testing.T) {
	store := &moodyStore{Store: servemem.New()}
	store.set(func(ps []serve.Prediction) error {
		for _, p := range ps {
			if p.ID == "bad" {
				return fault.Errorf(fault.Invalid, "never")
			}
		}
		return nil
	})
	s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{Log: store, FlushInterval: time.Hour})
	for _, id := range []string{"a", "bad", "b"} {
		ask(t, s.Server, "churn", id)
	}
	require.NoError(t, s.Flush(t.Context()))
	require.EqualValues(t, 2, count(t, store))
	require.EqualValues(t, 1, s.Dropped())
}

// TestStuckStoreBlocksNobody: while the store hangs, requests are answered,
// and Flush and Close give up with their context.
func TestStuckStoreBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &moodyStore{Store: servemem.New(), before: func() { <-release }}
		s := serve.New(nil, &serve.Options{Log: store, FlushInterval: time.Millisecond})
		require.NoError(t, s.Add("churn", 1, servetest.Constant("stays")))
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1}))
		ask(t, s, "churn", "a")
		time.Sleep(time.Second) // the writer hangs now
		require.Equal(t, "stays", ask(t, s, "churn", "b"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Flush(ctx), context.DeadlineExceeded)
		close(release)
		require.NoError(t, s.Close(t.Context()))
		require.EqualValues(t, 2, count(t, store))
	})
}

func TestCloseTellsWhatWasLost(t *testing.T) {
	store := &moodyStore{Store: servemem.New()}
	store.set(diskFull)
	s := serve.New(nil, &serve.Options{Log: store, FlushInterval: time.Hour})
	require.NoError(t, s.Add("churn", 1, servetest.Constant("stays")))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1}))
	ask(t, s, "churn", "a")
	ask(t, s, "churn", "b")
	err := s.Close(t.Context())
	require.ErrorIs(t, err, serve.ErrUnavailable)
	require.EqualError(t, err, "serve: close: 2 predictions could not be logged: the disk is full")
	require.EqualValues(t, 2, s.Dropped())
}

// TestFlushUnderLoad: Flush covers what was answered before it, while others go on.
func TestFlushUnderLoad(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				id := fmt.Sprint(w, "/", i)
				if _, err := s.Predict(t.Context(), "churn", serve.Request{ID: id, Inputs: servetest.X(1)}); err != nil {
					t.Error(err)
				}
				if i%20 != 0 {
					continue
				}
				if err := s.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				if found, err := s.Log.Lookup(t.Context(), "churn", []string{id}); err != nil || len(found) != 1 {
					t.Errorf("%s was answered and flushed, yet: %v, %v", id, found, err)
				}
			}
		})
	}
	wg.Wait()
	servetest.RequirePredictions(t, s, "churn", 800)
}
