package retraintest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// RunStore checks that stores behave as retrain.Store says. newStore returns a
// fresh, empty store.
func RunStore(t *testing.T, newStore func(t *testing.T) retrain.Store) {
	t.Helper()
	for _, c := range storeCases {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.why)
			c.check(t, newStore(t))
		})
	}
}

var storeCases = []struct {
	name, why string
	check     func(t *testing.T, s retrain.Store)
}{
	{"retraining round trip", "every field of a retraining comes back", checkRetrainingRoundTrip},
	{"retraining order", "retrainings come by number and replace the one of their ID", checkRetrainingOrder},
	{"retraining by revision", "a retraining goes in only on top of the revision it was made from", checkRetrainingRevision},
	{"models apart", "what belongs to one model is not seen from another", checkModelsApart},
	{"events once", "an event is stored once a key, events come in the order of storing", checkEventsOnce},
	{"events from many goroutines", "no event is lost or doubled when many append at once", checkEventsConcurrent},
	{"retrainings of a version", "a query by version finds what made it, Last the latest ones", checkRetrainingQuery},
	{"events in pages", "a query with a limit goes on after the last Seq", checkEventPages},
	{"state by revision", "a state goes in only on top of the revision it was made from", checkStateRevision},
	{"cursors", "a sender's cursor is NotFound at first, then the last one put, by model and sender", checkCursors},
	{"default limits", "a query without a limit returns the first DefaultLimit, whatever is stored", checkDefaultLimits},
	{"configurations", "a configuration is NotFound at first, then what was stored first under its digest", checkConfigs},
	{"lease", "one holder at a time, with a token of its own, until its time is over or it lets go", checkLease},
	{"lease's time", "a lease that is not renewed is free after its time, and its holder goes on when nobody took it", checkLeaseTime},
	{"lease refused", "a lease needs a model, a holder and a time", checkLeaseInvalid},
	{"racing leases", "of many that ask at once one gets the lease, and no two holders have one token", checkLeaseRace},
	{"fencing", "who has lost the lease writes no retraining, state or cursor any more; events it may tell", checkFencing},
	{"fencing by what is stored", "a write with a lower token than the stored record's is refused without any lease", checkFencingStored},
	{"racing writers", "of many that write one revision at once, one does", checkWriterRace},
	{"state", "the state is NotFound at first, then the last one put", checkState},
	{"random operations", "any sequence of operations leaves what the in-memory store has", checkRandomOperations},
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func fullRetraining(model string, number int64) retrain.Retraining {
	return retrain.Retraining{
		ID: fmt.Sprintf("%s/%d", model, number), Model: model, Number: number, Rev: 1,
		Causes:   []retrain.Cause{{Trigger: "drift", Detail: "feature_drift: price", AlertID: "a1"}},
		Stage:    retrain.Canarying,
		Weight:   1,
		Champion: 3, Version: 4, RunID: "0123456789abcdef0123456789abcdef",
		Verdicts:   []retrain.Verdict{{Gate: "g", Outcome: retrain.Pass, Metric: "auc", Diff: .01, Low: -.02, High: .04, N: 9, Needed: 90, Reason: "r"}},
		Metrics:    map[string]float64{"auc": .8},
		Errors:     drift.NewBaseline([]float64{0, 1, 0}),
		FittedFrom: noon.Add(-48 * time.Hour), FittedTo: noon.Add(-24 * time.Hour),
		StartedAt: noon, StageSince: noon.Add(time.Hour), EndedAt: noon.Add(2 * time.Hour), Reason: "none",
	}
}

func checkRetrainingRoundTrip(t *testing.T, s retrain.Store) {
	want := fullRetraining("churn", 1)
	want.Token, want.Config = 7, "abc"
	require.NoError(t, s.PutRetraining(t.Context(), want))
	got, err := s.Retrainings(t.Context(), retrain.RetrainingQuery{Model: "churn"})
	require.NoError(t, err)
	require.Equal(t, []retrain.Retraining{want}, got)
}

func checkRetrainingOrder(t *testing.T, s retrain.Store) {
	for _, n := range []int64{2, 0, 1} {
		require.NoError(t, s.PutRetraining(t.Context(), fullRetraining("churn", n)))
	}
	changed := fullRetraining("churn", 1)
	changed.Stage, changed.Rev = retrain.Promoted, 2
	require.NoError(t, s.PutRetraining(t.Context(), changed))
	got, err := s.Retrainings(t.Context(), retrain.RetrainingQuery{Model: "churn"})
	require.NoError(t, err)
	require.Equal(t, []retrain.Retraining{fullRetraining("churn", 0), changed, fullRetraining("churn", 2)}, got)
}

func checkModelsApart(t *testing.T, s retrain.Store) {
	require.NoError(t, s.PutRetraining(t.Context(), fullRetraining("churn", 0)))
	require.NoError(t, s.AppendEvent(t.Context(), retrain.Event{Model: "churn", Time: noon, Key: "k"}))
	require.NoError(t, s.PutState(t.Context(), retrain.State{Model: "churn", Rev: 1, SteppedAt: noon, Data: []byte("{}")}))
	retrainings, err := s.Retrainings(t.Context(), retrain.RetrainingQuery{Model: "fraud"})
	require.NoError(t, err)
	require.Empty(t, retrainings)
	events, err := s.Events(t.Context(), retrain.EventQuery{Model: "fraud"})
	require.NoError(t, err)
	require.Empty(t, events)
	_, err = s.State(t.Context(), "fraud")
	require.ErrorIs(t, err, retrain.ErrNotFound)
}

func checkEventsOnce(t *testing.T, s retrain.Store) {
	for i, key := range []string{"a", "b", "a", "c"} {
		e := retrain.Event{Model: "churn", Time: noon.Add(time.Duration(i) * time.Minute), Kind: "promoted", Text: fmt.Sprint(i), Key: key}
		require.NoError(t, s.AppendEvent(t.Context(), e))
	}
	events, err := s.Events(t.Context(), retrain.EventQuery{Model: "churn"})
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.Equal(t, []string{"0", "1", "3"}, []string{events[0].Text, events[1].Text, events[2].Text}, "the first of a key stays")
	require.Equal(t, noon, events[0].Time)
	rest, err := s.Events(t.Context(), retrain.EventQuery{Model: "churn", After: events[0].Seq})
	require.NoError(t, err)
	require.Equal(t, events[1:], rest)
}

func checkEventsConcurrent(t *testing.T, s retrain.Store) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for g := range errs {
		wg.Go(func() {
			for i := range 10 {
				e := retrain.Event{Model: "churn", Time: noon, Key: fmt.Sprint((g%2)*10 + i)}
				if err := s.AppendEvent(t.Context(), e); err != nil {
					errs[g] = err
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	events, err := s.Events(t.Context(), retrain.EventQuery{Model: "churn"})
	require.NoError(t, err)
	require.Len(t, events, 20)
}

func checkState(t *testing.T, s retrain.Store) {
	_, err := s.State(t.Context(), "churn")
	require.ErrorIs(t, err, retrain.ErrNotFound)
	for _, want := range []retrain.State{
		{Model: "churn", Rev: 1, Data: []byte(`{"a":1}`)},
		{Model: "churn", Rev: 2, SteppedAt: noon, Data: []byte(`{"a":2}`)},
	} {
		require.NoError(t, s.PutState(t.Context(), want))
		got, err := s.State(t.Context(), "churn")
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func checkRandomOperations(t *testing.T, s retrain.Store) {
	rng := rand.New(rand.NewPCG(1, 2))
	var spec Store
	both := []retrain.Store{s, &spec}
	models := []string{"churn", "fraud"}
	for range 300 {
		act := randomAct(t, rng, models[rng.IntN(2)])
		got, want := act(both[0]), act(both[1])
		require.Equal(t, fault.Kind(want), fault.Kind(got), "%v against %v", got, want)
	}
	for _, model := range models {
		requireSame(t, both, func(s retrain.Store) (any, error) {
			return s.Retrainings(t.Context(), retrain.RetrainingQuery{Model: model})
		})
		requireSame(t, both, func(s retrain.Store) (any, error) {
			st, err := s.State(t.Context(), model)
			return []any{st, fault.Kind(err)}, nil
		})
		requireSame(t, both, func(s retrain.Store) (any, error) {
			c, err := s.Cursor(t.Context(), model, "slack")
			return []any{c, fault.Kind(err)}, nil
		})
		requireSame(t, both, func(s retrain.Store) (any, error) {
			events, err := s.Events(t.Context(), retrain.EventQuery{Model: model})
			for i := range events {
				events[i].Seq = 0 // only their order is promised
			}
			return events, err
		})
	}
}

// randomAct draws a write, often one that is to be refused. Leases last an hour,
// so that no clock decides.
func randomAct(t *testing.T, rng *rand.Rand, model string) func(s retrain.Store) error {
	n, token := rng.Int64N(4), rng.Int64N(4)
	rev, at := 1+rng.Int64N(4), noon.Add(time.Duration(n)*time.Second)
	switch rng.IntN(6) {
	case 0:
		r := fullRetraining(model, n)
		r.Rev, r.Token, r.Weight = rev, token, rng.IntN(5)
		return func(s retrain.Store) error { return s.PutRetraining(t.Context(), r) }
	case 1:
		e := retrain.Event{Model: model, Time: at, Kind: "gate", Key: fmt.Sprint(rng.IntN(20))}
		return func(s retrain.Store) error { return s.AppendEvent(t.Context(), e) }
	case 2:
		st := retrain.State{Model: model, Rev: rev, Token: token, SteppedAt: at, Data: []byte{byte(n)}}
		return func(s retrain.Store) error { return s.PutState(t.Context(), st) }
	case 3:
		c := retrain.Cursor{Model: model, Sender: "slack", Rev: rev, Token: token, Data: []byte{byte(n)}}
		return func(s retrain.Store) error { return s.PutCursor(t.Context(), c) }
	case 4:
		holder := fmt.Sprint("h", n%2)
		return func(s retrain.Store) error {
			_, err := s.AcquireLease(t.Context(), model, holder, time.Hour)
			return err
		}
	}
	holder := fmt.Sprint("h", n)
	return func(s retrain.Store) error { return s.ReleaseLease(t.Context(), model, holder) }
}

func requireSame(t *testing.T, stores []retrain.Store, read func(retrain.Store) (any, error)) {
	t.Helper()
	want, err := read(stores[1])
	require.NoError(t, err)
	got, err := read(stores[0])
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func checkRetrainingQuery(t *testing.T, s retrain.Store) {
	for n := range int64(5) {
		r := fullRetraining("churn", n)
		r.Version = n % 2
		require.NoError(t, s.PutRetraining(t.Context(), r))
	}
	numbers := func(q retrain.RetrainingQuery) (out []int64) {
		found, err := s.Retrainings(t.Context(), q)
		require.NoError(t, err)
		for _, r := range found {
			out = append(out, r.Number)
		}
		return out
	}
	require.Equal(t, []int64{1, 3}, numbers(retrain.RetrainingQuery{Model: "churn", Version: 1}))
	require.Equal(t, []int64{3}, numbers(retrain.RetrainingQuery{Model: "churn", Version: 1, Last: 1}))
	require.Equal(t, []int64{3, 4}, numbers(retrain.RetrainingQuery{Model: "churn", Last: 2}))
	require.Empty(t, numbers(retrain.RetrainingQuery{Model: "churn", Version: 9}))
}

func checkEventPages(t *testing.T, s retrain.Store) {
	for i := range 7 {
		require.NoError(t, s.AppendEvent(t.Context(), retrain.Event{Model: "churn", Time: noon, Key: fmt.Sprint(i)}))
	}
	var keys []string
	after := int64(0)
	for {
		page, err := s.Events(t.Context(), retrain.EventQuery{Model: "churn", After: after, Limit: 3})
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), 3)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			keys, after = append(keys, e.Key), e.Seq
		}
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6"}, keys)
}

func checkStateRevision(t *testing.T, s retrain.Store) {
	put := func(rev int64, data string) error {
		return s.PutState(t.Context(), retrain.State{Model: "churn", Rev: rev, SteppedAt: noon, Data: []byte(data)})
	}
	require.ErrorIs(t, put(2, "b"), retrain.ErrConflict)
	require.NoError(t, put(1, "a"))
	require.ErrorIs(t, put(1, "again"), retrain.ErrConflict)
	require.ErrorIs(t, put(3, "c"), retrain.ErrConflict)
	require.NoError(t, put(2, "b"))
	got, err := s.State(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, retrain.State{Model: "churn", Rev: 2, SteppedAt: noon, Data: []byte("b")}, got)
}

func checkCursors(t *testing.T, s retrain.Store) {
	_, err := s.Cursor(t.Context(), "churn", "slack")
	require.ErrorIs(t, err, retrain.ErrNotFound)
	second := retrain.Cursor{Model: "churn", Sender: "slack", Rev: 2, Data: []byte("2")}
	require.ErrorIs(t, s.PutCursor(t.Context(), second), retrain.ErrConflict)
	for _, c := range []retrain.Cursor{
		{Model: "churn", Sender: "slack", Rev: 1, Data: []byte("1")}, second,
		{Model: "churn", Sender: "log", Rev: 1, Data: []byte("3")}, {Model: "fraud", Sender: "slack", Rev: 1, Data: []byte("4")},
	} {
		require.NoError(t, s.PutCursor(t.Context(), c))
	}
	require.ErrorIs(t, s.PutCursor(t.Context(), second), retrain.ErrConflict)
	got, err := s.Cursor(t.Context(), "churn", "slack")
	require.NoError(t, err)
	require.Equal(t, second, got)
}
