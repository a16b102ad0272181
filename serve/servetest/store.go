package servetest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// Run is the conformance suite of serve.Store: what every backend must do.
// newStore returns an empty store that is closed when its test ends.
func Run(t *testing.T, newStore func(t *testing.T) serve.Store) {
	t.Helper()
	cases := []struct {
		name string
		why  string // what a reader should learn when the case fails
		run  func(t *testing.T, s serve.Store)
	}{
		{"predictions come back", "every field of a prediction survives storing, times to the millisecond in UTC", testRoundTrip},
		{"first answer counts", "a model's ID has one answer and one shadow answer; a further one changes nothing", testIdempotent},
		{"nothing is kept of the arguments", "callers reuse their buffers", testKeepsNothing},
		{"predictions are paged", "After and Limit walk the log in the order of storing", testPredictionPages},
		{"predictions by variant", "Variants selects; nil means all", testVariants},
		{"labels join", "a label comes with every prediction of its ID, the answer first", testLabelsJoin},
		{"labels are paged", "After and Limit count labels, not joined rows", testLabelPages},
		{"unknown labels", "a label without a prediction is named, the others are stored", testUnknownLabels},
		{"label again", "an equal label is a no-op; another value is a Conflict and stores nothing of its batch", testRelabel},
		{"models are apart", "the same ID in two models is two predictions", testModels},
		{"lookup", "predictions are found by ID, with their labels when there are some", testLookup},
		{"counts", "shadow predictions are counted apart", testCounts},
		{"routes", "a route is replaced only from the revision it was made from", testRoutes},
		{"one route wins", "of several writers from one revision exactly one succeeds", testRouteRace},
		{"empty store", "asking an empty store is no error, except for a route", testEmpty},
		{"concurrent writers", "stores are safe for concurrent use and lose nothing", testConcurrent},
		{"cancelled context", "a cancelled context stops a call with its own error", testCancelled},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Log("why: " + c.why)
				}
			}()
			c.run(t, newStore(t))
		})
	}
	t.Run("random sequences equal servemem", func(t *testing.T) { testSequences(t, newStore) })
}

var (
	start  = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	schema = frame.Schema{
		{Name: "price", Kind: frame.Float64}, {Name: "count", Kind: frame.Int64}, {Name: "plan", Kind: frame.String},
		{Name: "paid", Kind: frame.Bool}, {Name: "seen", Kind: frame.Time},
	}
)

func prediction(model, id string, variant serve.Variant) serve.Prediction {
	return serve.Prediction{
		ID: id, Model: model, Version: 3, Variant: variant, Key: "customer 7", Time: start,
		Features: frame.Row{Schema: schema, Values: []frame.Value{
			frame.FloatValue(0.1), frame.IntValue(-5), frame.StringValue("größer, \"x\"\x00"), frame.BoolValue(true), frame.TimeValue(1_700_000_000_123),
		}},
		Output: frame.StringValue("UP"), Scores: []float64{0.25, 0.75}, Propensity: 0.95, Latency: 1234 * time.Nanosecond,
	}
}

func label(model, id string, v frame.Value) serve.Label {
	return serve.Label{ID: id, Model: model, Value: v, Time: start.Add(time.Hour)}
}

func predictionsOf(t *testing.T, s serve.Store, q serve.PredictionQuery) []serve.Prediction {
	t.Helper()
	ps, err := s.Predictions(t.Context(), q)
	require.NoError(t, err)
	return ps
}

// requireSame compares two predictions; Seq is the store's own.
func requireSame(t *testing.T, want, got serve.Prediction) {
	t.Helper()
	// NaN is compared by bits, as Value does.
	for i := range want.Scores {
		require.Equal(t, math.Float64bits(want.Scores[i]), math.Float64bits(got.Scores[i]))
	}
	require.Len(t, got.Scores, len(want.Scores))
	require.True(t, want.Time.Equal(got.Time), "time: want %s, got %s", want.Time, got.Time)
	require.Equal(t, time.UTC, got.Time.Location())
	require.Equal(t, want.Features.Schema, got.Features.Schema)
	require.Equal(t, want.Features.Values, got.Features.Values)
	want.Seq, want.Time, want.Features, want.Scores = got.Seq, got.Time, got.Features, got.Scores
	require.Equal(t, want, got)
}

func testRoundTrip(t *testing.T, s serve.Store) {
	full := prediction("churn", "a", serve.Primary)
	regression := prediction("churn", "b", serve.Canary)
	regression.Output, regression.Scores = frame.FloatValue(math.NaN()), nil
	nulls := prediction("churn", "c", serve.Shadow)
	nulls.Features.Values = make([]frame.Value, len(schema))
	nulls.Features.Values[0] = frame.FloatValue(math.Inf(-1))
	nulls.Output, nulls.Scores = frame.Value{}, []float64{math.NaN()}
	other := prediction("churn", "d", serve.Primary)
	other.Features = frame.Row{Schema: frame.Schema{{Name: "only", Kind: frame.Int64}}, Values: []frame.Value{frame.IntValue(math.MinInt64)}}
	other.Output = frame.IntValue(math.MaxInt64)
	fine := prediction("churn", "e", serve.Primary)
	fine.Time = start.Add(999 * time.Microsecond).In(time.FixedZone("CET", 3600))
	want := []serve.Prediction{full, regression, nulls, other, fine}

	require.NoError(t, s.AppendPredictions(t.Context(), want))
	want[4].Time = start
	got := predictionsOf(t, s, serve.PredictionQuery{Model: "churn"})
	require.Len(t, got, len(want))
	for i := range want {
		requireSame(t, want[i], got[i])
		require.Positive(t, got[i].Seq)
	}
}

func testIdempotent(t *testing.T, s serve.Store) {
	first := prediction("churn", "a", serve.Primary)
	shadow := prediction("churn", "a", serve.Shadow)
	again := prediction("churn", "a", serve.Canary)
	again.Version, again.Output = 9, frame.StringValue("DOWN")
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{first, first, shadow}))
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{again, prediction("churn", "b", serve.Primary), shadow}))

	got := predictionsOf(t, s, serve.PredictionQuery{Model: "churn"})
	require.Len(t, got, 3)
	requireSame(t, first, got[0])
	requireSame(t, shadow, got[1])
	require.Equal(t, "b", got[2].ID, "what else was in the batch is stored")
}

func testKeepsNothing(t *testing.T, s serve.Store) {
	p := prediction("churn", "a", serve.Primary)
	want := prediction("churn", "a", serve.Primary)
	batch := []serve.Prediction{p}
	require.NoError(t, s.AppendPredictions(t.Context(), batch))
	p.Features.Values[0], p.Scores[0] = frame.FloatValue(-1), -1
	batch[0] = serve.Prediction{}
	requireSame(t, want, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"})[0])
}

func testPredictionPages(t *testing.T, s serve.Store) {
	var want []string
	for i := range 25 {
		id := fmt.Sprint("id", i)
		want = append(want, id)
		require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
			prediction("churn", id, serve.Primary), prediction("other", id, serve.Primary),
		}))
	}
	var got []string
	after := int64(0)
	for {
		page := predictionsOf(t, s, serve.PredictionQuery{Model: "churn", After: after, Limit: 10})
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			require.Greater(t, p.Seq, after)
			after = p.Seq
			got = append(got, p.ID)
		}
	}
	require.Equal(t, want, got)
}

func testVariants(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
		prediction("churn", "a", serve.Primary), prediction("churn", "a", serve.Shadow), prediction("churn", "b", serve.Canary),
	}))
	require.Len(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}), 3)
	require.Len(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn", Variants: []serve.Variant{serve.Shadow}}), 1)
	require.Len(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn", Variants: []serve.Variant{serve.Primary, serve.Canary}}), 2)
}

func testModels(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "a", serve.Primary), prediction("fraud", "a", serve.Primary)}))
	unknown, err := s.AppendLabels(t.Context(), []serve.Label{label("churn", "a", frame.BoolValue(true)), label("fraud", "a", frame.BoolValue(false))})
	require.NoError(t, err)
	require.Empty(t, unknown)
	for model, want := range map[string]bool{"churn": true, "fraud": false} {
		got, err := s.Labels(t.Context(), serve.LabelQuery{Model: model})
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, frame.BoolValue(want), got[0].Label.Value)
	}
}

func testCounts(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
		prediction("churn", "a", serve.Primary), prediction("churn", "b", serve.Canary), prediction("churn", "b", serve.Shadow), prediction("other", "a", serve.Primary),
	}))
	_, err := s.AppendLabels(t.Context(), []serve.Label{label("churn", "a", frame.IntValue(1)), label("churn", "b", frame.IntValue(1)), label("churn", "c", frame.IntValue(1))})
	require.NoError(t, err)
	got, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Counts{Predictions: 2, Shadow: 1, Labels: 2}, got)
}

func testEmpty(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), nil))
	unknown, err := s.AppendLabels(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, unknown)
	require.Empty(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}))
	labels, err := s.Labels(t.Context(), serve.LabelQuery{Model: "churn"})
	require.NoError(t, err)
	require.Empty(t, labels)
	found, err := s.Lookup(t.Context(), "churn", nil)
	require.NoError(t, err)
	require.Empty(t, found)
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Counts{}, counts)
	_, err = s.Route(t.Context(), "churn")
	require.ErrorIs(t, err, serve.ErrNotFound)
}

func testConcurrent(t *testing.T, s serve.Store) {
	const writers, each = 4, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprint(w, "/", i)
				err := s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", id, serve.Primary), prediction("churn", "shared", serve.Primary)})
				if err == nil {
					_, err = s.AppendLabels(t.Context(), []serve.Label{label("churn", id, frame.IntValue(int64(i)))})
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Counts{Predictions: writers*each + 1, Labels: writers * each}, counts)
}

func testCancelled(t *testing.T, s serve.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.AppendPredictions(ctx, []serve.Prediction{prediction("churn", "a", serve.Primary)}), context.Canceled)
	_, err := s.Predictions(ctx, serve.PredictionQuery{Model: "churn"})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}))
}
