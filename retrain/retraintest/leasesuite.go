package retraintest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

// leaseTime outlasts any check: no clock decides.
const leaseTime = time.Hour

// shortLease is over soon: a database's clock cannot be moved on.
const shortLease = 30 * time.Millisecond

func checkLease(t *testing.T, s retrain.Store) {
	ctx := t.Context()
	first, err := s.AcquireLease(ctx, "churn", "a", leaseTime)
	require.NoError(t, err)
	require.Equal(t, "churn", first.Model)
	require.Equal(t, "a", first.Holder)
	require.EqualValues(t, 1, first.Token)
	require.WithinDuration(t, time.Now().Add(leaseTime), first.Until, time.Minute)
	again, err := s.AcquireLease(ctx, "churn", "a", 2*leaseTime)
	require.NoError(t, err)
	require.EqualValues(t, 1, again.Token, "who renews keeps its token")
	require.True(t, again.Until.After(first.Until))
	held, err := s.AcquireLease(ctx, "churn", "b", leaseTime)
	require.ErrorIs(t, err, retrain.ErrConflict)
	require.Equal(t, again, held, "who is refused is told who has it")
	other, err := s.AcquireLease(ctx, "fraud", "b", leaseTime)
	require.NoError(t, err, "models have leases of their own")
	require.EqualValues(t, 1, other.Token)

	require.NoError(t, s.ReleaseLease(ctx, "churn", "b"), "who has no lease releases none")
	_, err = s.AcquireLease(ctx, "churn", "b", leaseTime)
	require.ErrorIs(t, err, retrain.ErrConflict)
	require.NoError(t, s.ReleaseLease(ctx, "churn", "a"))
	next, err := s.AcquireLease(ctx, "churn", "b", leaseTime)
	require.NoError(t, err, "a lease that was released is free at once")
	require.EqualValues(t, 2, next.Token)
	require.NoError(t, s.ReleaseLease(ctx, "churn", "b"))
	back, err := s.AcquireLease(ctx, "churn", "b", leaseTime)
	require.NoError(t, err)
	require.EqualValues(t, 3, back.Token, "who has let go is a new holder")
	require.NoError(t, s.ReleaseLease(ctx, "nothing", "b"))
}

func checkLeaseTime(t *testing.T, s retrain.Store) {
	ctx := t.Context()
	first, err := s.AcquireLease(ctx, "churn", "a", shortLease)
	require.NoError(t, err)
	time.Sleep(2 * shortLease)
	late, err := s.AcquireLease(ctx, "churn", "a", shortLease)
	require.NoError(t, err)
	require.Equal(t, first.Token, late.Token, "nobody had it in between")
	time.Sleep(2 * shortLease)
	taken, err := s.AcquireLease(ctx, "churn", "b", leaseTime)
	require.NoError(t, err)
	require.Equal(t, late.Token+1, taken.Token)
	_, err = s.AcquireLease(ctx, "churn", "a", shortLease)
	require.ErrorIs(t, err, retrain.ErrConflict)
}

func checkLeaseInvalid(t *testing.T, s retrain.Store) {
	for _, c := range []struct {
		model, holder string
		ttl           time.Duration
	}{{"", "a", leaseTime}, {"churn", "", leaseTime}, {"churn", "a", 0}, {"churn", "a", -leaseTime}, {"churn", "a", time.Microsecond}} {
		_, err := s.AcquireLease(t.Context(), c.model, c.holder, c.ttl)
		require.ErrorIs(t, err, retrain.ErrInvalid, "%+v", c)
	}
}

// turns counts whose turn it is, and whether two ever had it at once.
type turns struct {
	mu      sync.Mutex
	inside  int
	crowded bool
	tokens  map[int64]string
	taken   int
}

func (r *turns) begin(l retrain.Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside++
	r.crowded = r.crowded || r.inside > 1 || r.tokens[l.Token] != ""
	r.tokens[l.Token], r.taken = l.Holder, r.taken+1
}

func (r *turns) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside--
}

// checkLeaseRace has many holders take and release one lease: whoever has it is
// alone.
func checkLeaseRace(t *testing.T, s retrain.Store) {
	const holders, times = 8, 5
	all := turns{tokens: make(map[int64]string)}
	take := func(holder string) error {
		lease, err := s.AcquireLease(t.Context(), "churn", holder, leaseTime)
		if err != nil {
			return err
		}
		all.begin(lease)
		all.end()
		return s.ReleaseLease(t.Context(), "churn", holder)
	}
	var wg sync.WaitGroup
	errs := make([]error, holders)
	for h := range holders {
		wg.Go(func() {
			for got := 0; got < times && errs[h] == nil; {
				switch err := take(fmt.Sprint("h", h)); {
				case err == nil:
					got++
				case errors.Is(err, retrain.ErrConflict):
					time.Sleep(time.Millisecond) // another's turn
				default:
					errs[h] = err
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.False(t, all.crowded, "two held the lease at once, or had the same token")
	require.Equal(t, holders*times, all.taken)
	for token := range all.tokens {
		require.LessOrEqual(t, token, int64(all.taken), "tokens rise by one")
	}
}

func checkFencing(t *testing.T, s retrain.Store) {
	ctx := t.Context()
	old, err := s.AcquireLease(ctx, "churn", "a", leaseTime)
	require.NoError(t, err)
	write := func(token, rev int64) []error {
		r := fullRetraining("churn", 0)
		r.Rev, r.Token = rev, token
		return []error{
			s.PutRetraining(ctx, r),
			s.PutState(ctx, retrain.State{Model: "churn", Rev: rev, Token: token, SteppedAt: noon, Data: []byte("{}")}),
			s.PutCursor(ctx, retrain.Cursor{Model: "churn", Sender: "slack", Rev: rev, Token: token, Data: []byte("{}")}),
		}
	}
	for _, err := range write(old.Token, 1) {
		require.NoError(t, err)
	}
	require.NoError(t, s.ReleaseLease(ctx, "churn", "a"))
	for _, err := range write(old.Token, 2) {
		require.NoError(t, err, "nobody has taken over: a write that comes late does no harm")
	}
	next, err := s.AcquireLease(ctx, "churn", "b", leaseTime)
	require.NoError(t, err)
	for _, err := range write(old.Token, 3) {
		require.ErrorIs(t, err, retrain.ErrConflict, "the lease alone fences, before its new holder has written anything")
	}
	fresh := fullRetraining("churn", 1)
	fresh.Token = old.Token
	require.ErrorIs(t, s.PutRetraining(ctx, fresh), retrain.ErrConflict, "a record that nobody wrote yet is fenced too")
	for _, err := range write(next.Token, 3) {
		require.NoError(t, err)
	}
	require.NoError(t, s.AppendEvent(ctx, retrain.Event{Model: "churn", Time: noon, Key: "deposed"}))
	require.NoError(t, s.PutState(ctx, retrain.State{Model: "fraud", Rev: 1, SteppedAt: noon, Data: []byte("{}")}), "another model's lease is not this one's")
	st, err := s.State(ctx, "churn")
	require.NoError(t, err)
	require.Equal(t, next.Token, st.Token)
	require.EqualValues(t, 3, st.Rev)
}

func checkFencingStored(t *testing.T, s retrain.Store) {
	put := func(rev, token int64) []error {
		r := fullRetraining("churn", 0)
		r.Rev, r.Token = rev, token
		return []error{
			s.PutRetraining(t.Context(), r),
			s.PutState(t.Context(), retrain.State{Model: "churn", Rev: rev, Token: token, SteppedAt: noon, Data: []byte("{}")}),
			s.PutCursor(t.Context(), retrain.Cursor{Model: "churn", Sender: "slack", Rev: rev, Token: token, Data: []byte("{}")}),
		}
	}
	for _, err := range put(1, 5) {
		require.NoError(t, err)
	}
	for _, err := range put(2, 4) {
		require.ErrorIs(t, err, retrain.ErrConflict)
	}
	for _, err := range put(2, 5) {
		require.NoError(t, err)
	}
}

// checkWriterRace has many write the same revisions: each is written once.
func checkWriterRace(t *testing.T, s retrain.Store) {
	const writers, revs = 4, 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := make(map[int64]int)
	var failed []error
	for range writers {
		wg.Go(func() {
			for rev := int64(1); rev <= revs; rev++ {
				r := fullRetraining("churn", 0)
				r.Rev = rev
				for _, err := range []error{
					s.PutRetraining(t.Context(), r),
					s.PutState(t.Context(), retrain.State{Model: "churn", Rev: rev, SteppedAt: noon, Data: []byte("{}")}),
					s.PutCursor(t.Context(), retrain.Cursor{Model: "churn", Sender: "slack", Rev: rev, Data: []byte("{}")}),
				} {
					mu.Lock()
					switch {
					case err == nil:
						won[rev]++
					case !errors.Is(err, retrain.ErrConflict):
						failed = append(failed, err)
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(failed...))
	for rev := int64(1); rev <= revs; rev++ {
		require.Equal(t, 3, won[rev], "revision %d of retraining, state and cursor", rev)
	}
}

func checkRetrainingRevision(t *testing.T, s retrain.Store) {
	put := func(rev int64) error {
		r := fullRetraining("churn", 0)
		r.Rev, r.Reason = rev, fmt.Sprint(rev)
		return s.PutRetraining(t.Context(), r)
	}
	require.ErrorIs(t, put(2), retrain.ErrConflict)
	require.NoError(t, put(1))
	require.ErrorIs(t, put(1), retrain.ErrConflict)
	require.ErrorIs(t, put(3), retrain.ErrConflict)
	require.NoError(t, put(2))
	got, err := s.Retrainings(t.Context(), retrain.RetrainingQuery{Model: "churn"})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "2", got[0].Reason)
	other := fullRetraining("churn", 0)
	other.ID, other.Rev = "churn/another", 3
	require.ErrorIs(t, s.PutRetraining(t.Context(), other), retrain.ErrAlreadyExists)
}

func checkConfigs(t *testing.T, s retrain.Store) {
	_, err := s.Config(t.Context(), "d1")
	require.ErrorIs(t, err, retrain.ErrNotFound)
	long := bytes.Repeat([]byte("x"), 100_000)
	require.NoError(t, s.PutConfig(t.Context(), "d1", []byte(`{"a":1}`)))
	require.NoError(t, s.PutConfig(t.Context(), "d2", long))
	require.NoError(t, s.PutConfig(t.Context(), "d1", []byte(`{"a":2}`)))
	got, err := s.Config(t.Context(), "d1")
	require.NoError(t, err)
	require.Equal(t, `{"a":1}`, string(got))
	got, err = s.Config(t.Context(), "d2")
	require.NoError(t, err)
	require.Equal(t, long, got)
}

func checkDefaultLimits(t *testing.T, s retrain.Store) {
	const more = retrain.DefaultLimit + 3
	for n := range int64(more) {
		r := retrain.Retraining{ID: fmt.Sprintf("churn/%d", n), Model: "churn", Number: n, Rev: 1}
		require.NoError(t, s.PutRetraining(t.Context(), r))
		require.NoError(t, s.AppendEvent(t.Context(), retrain.Event{Model: "churn", Time: noon, Key: fmt.Sprint(n)}))
	}
	ends := func(q retrain.RetrainingQuery) [3]int64 {
		q.Model = "churn"
		got, err := s.Retrainings(t.Context(), q)
		require.NoError(t, err)
		require.NotEmpty(t, got)
		return [3]int64{int64(len(got)), got[0].Number, got[len(got)-1].Number}
	}
	require.Equal(t, [3]int64{retrain.DefaultLimit, 0, retrain.DefaultLimit - 1}, ends(retrain.RetrainingQuery{}))
	require.Equal(t, [3]int64{3, retrain.DefaultLimit, more - 1}, ends(retrain.RetrainingQuery{From: retrain.DefaultLimit}))
	require.Equal(t, [3]int64{2, 5, 6}, ends(retrain.RetrainingQuery{From: 5, Limit: 2}))
	require.Equal(t, [3]int64{retrain.DefaultLimit, 3, more - 1}, ends(retrain.RetrainingQuery{Last: more}))
	require.Equal(t, [3]int64{2, more - 2, more - 1}, ends(retrain.RetrainingQuery{From: 5, Last: 2}))
	events, err := s.Events(t.Context(), retrain.EventQuery{Model: "churn"})
	require.NoError(t, err)
	require.Len(t, events, retrain.DefaultLimit)
	rest, err := s.Events(t.Context(), retrain.EventQuery{Model: "churn", After: events[len(events)-1].Seq})
	require.NoError(t, err)
	require.Len(t, rest, 3)
}
