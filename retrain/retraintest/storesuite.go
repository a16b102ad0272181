package retraintest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	{"models apart", "what belongs to one model is not seen from another", checkModelsApart},
	{"events once", "an event is stored once a key, events come in the order of storing", checkEventsOnce},
	{"events from many goroutines", "no event is lost or doubled when many append at once", checkEventsConcurrent},
	{"state", "the state is NotFound at first, then the last one put", checkState},
	{"random operations", "any sequence of operations leaves what the in-memory store has", checkRandomOperations},
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func fullRetraining(model string, number int64) retrain.Retraining {
	return retrain.Retraining{
		ID: fmt.Sprintf("%s/%d", model, number), Model: model, Number: number,
		Causes:   []retrain.Cause{{Trigger: "drift", Detail: "feature_drift: price", AlertID: "a1"}},
		Stage:    retrain.Canarying,
		Step:     1,
		Champion: 3, Version: 4, RunID: "0123456789abcdef0123456789abcdef",
		Verdicts:  []retrain.Verdict{{Gate: "g", Pass: true, Metric: "auc", Diff: .01, Low: -.02, High: .04, N: 9, Reason: "r"}},
		Holdout:   map[string]float64{"auc": .8},
		Errors:    []float64{0, 1, 0},
		StartedAt: noon, StageSince: noon.Add(time.Hour), EndedAt: noon.Add(2 * time.Hour),
		LabelSeq: 17, PredictionSeq: 19, Error: "none",
	}
}

func checkRetrainingRoundTrip(t *testing.T, s retrain.Store) {
	want := fullRetraining("churn", 1)
	require.NoError(t, s.PutRetraining(t.Context(), want))
	got, err := s.Retrainings(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, []retrain.Retraining{want}, got)
}

func checkRetrainingOrder(t *testing.T, s retrain.Store) {
	for _, n := range []int64{2, 0, 1} {
		require.NoError(t, s.PutRetraining(t.Context(), fullRetraining("churn", n)))
	}
	changed := fullRetraining("churn", 1)
	changed.Stage = retrain.Promoted
	require.NoError(t, s.PutRetraining(t.Context(), changed))
	got, err := s.Retrainings(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, []retrain.Retraining{fullRetraining("churn", 0), changed, fullRetraining("churn", 2)}, got)
}

func checkModelsApart(t *testing.T, s retrain.Store) {
	require.NoError(t, s.PutRetraining(t.Context(), fullRetraining("churn", 0)))
	require.NoError(t, s.AppendEvent(t.Context(), retrain.Event{Model: "churn", Time: noon, Key: "k"}))
	require.NoError(t, s.PutState(t.Context(), retrain.State{Model: "churn", SteppedAt: noon, Data: []byte("{}")}))
	retrainings, err := s.Retrainings(t.Context(), "fraud")
	require.NoError(t, err)
	require.Empty(t, retrainings)
	events, err := s.Events(t.Context(), "fraud", 0)
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
	events, err := s.Events(t.Context(), "churn", 0)
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.Equal(t, []string{"0", "1", "3"}, []string{events[0].Text, events[1].Text, events[2].Text}, "the first of a key stays")
	require.Equal(t, noon, events[0].Time)
	rest, err := s.Events(t.Context(), "churn", events[0].Seq)
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
	events, err := s.Events(t.Context(), "churn", 0)
	require.NoError(t, err)
	require.Len(t, events, 20)
}

func checkState(t *testing.T, s retrain.Store) {
	_, err := s.State(t.Context(), "churn")
	require.ErrorIs(t, err, retrain.ErrNotFound)
	for _, want := range []retrain.State{
		{Model: "churn", Data: []byte(`{"a":1}`)},
		{Model: "churn", SteppedAt: noon, Data: []byte(`{"a":2}`)},
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
	for range 200 {
		model, n := models[rng.IntN(2)], rng.Int64N(10)
		retraining, at := fullRetraining(model, n), noon.Add(time.Duration(n)*time.Second)
		retraining.Step = rng.IntN(5)
		op := rng.IntN(3)
		for _, store := range both {
			switch op {
			case 0:
				require.NoError(t, store.PutRetraining(t.Context(), retraining))
			case 1:
				require.NoError(t, store.AppendEvent(t.Context(), retrain.Event{Model: model, Time: at, Kind: "gate", Key: fmt.Sprint(n)}))
			case 2:
				require.NoError(t, store.PutState(t.Context(), retrain.State{Model: model, SteppedAt: at, Data: []byte{byte(n)}}))
			}
		}
	}
	for _, model := range models {
		requireSame(t, both, func(s retrain.Store) (any, error) { return s.Retrainings(t.Context(), model) })
		requireSame(t, both, func(s retrain.Store) (any, error) { return s.State(t.Context(), model) })
		requireSame(t, both, func(s retrain.Store) (any, error) {
			events, err := s.Events(t.Context(), model, 0)
			for i := range events {
				events[i].Seq = 0 // only their order is promised
			}
			return events, err
		})
	}
}

func requireSame(t *testing.T, stores []retrain.Store, read func(retrain.Store) (any, error)) {
	t.Helper()
	want, err := read(stores[1])
	require.NoError(t, err)
	got, err := read(stores[0])
	require.NoError(t, err)
	require.Equal(t, want, got)
}
