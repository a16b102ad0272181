package servetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// storeCase is one case of the conformance suite.
type storeCase struct {
	name string
	why  string // what a reader should learn when the case fails
	run  func(t *testing.T, s serve.Store)
	many bool // it needs several goroutines, or waits for others
}

func storeCases() []storeCase {
	return []storeCase{
		{"predictions come back", "every field of a prediction survives storing, times to the millisecond in UTC", testRoundTrip, false},
		{"odd values come back", "NaN of any bits, infinities, -0, bytes that are no text and nulls survive bit by bit", testOddValues, false},
		{"nothing is kept of the arguments", "callers reuse their buffers", testKeepsNothing, false},
		{"predictions are paged", "After and Limit walk the log in the order of storing", testPredictionPages, false},
		{"predictions by variant and status", "Variants and Statuses select; nil means all", testSelection, false},
		{"one request is one prediction", "an ID and Index with the same inputs is answered once, by whichever variant", testSameRequest, false},
		{"an ID may be used again", "other inputs under an ID are a further attempt with a row of its own", testReusedID, false},
		{"rows of a batch", "a batch is one ID; its rows are apart by Index, and from IDs that look like them", testBatchRows, false},
		{"unanswered attempts", "after an attempt that nobody answered comes a further one; after an answer none", testUnanswered, false},
		{"a fallback is one attempt", "the canary's failure and the primary's answer or failure in its place are one attempt", testFallback, false},
		{"a shadow stands beside an answer", "a shadow's row belongs to the attempt with its Digest, once, and to none alone", testShadow, false},
		{"a record stored twice", "a batch that is stored again after a lost acknowledgement changes nothing", testStoredTwice, false},
		{"labels join", "a label comes with the answers of its row, the caller's first; failures are left out", testLabelsJoin, false},
		{"labels join the latest attempt before them", "a later attempt does not take an earlier one's label", testLabelsOfAttempts, false},
		{"labels are paged", "After and Limit count labels, not joined rows", testLabelPages, false},
		{"unknown labels", "a label without an answer is returned as it came, the others are stored", testUnknownLabels, false},
		{"label again", "an equal label is a no-op; another value is a correction that names what it replaces", testRelabel, false},
		{"labels by output", "each output of a row has labels of its own", testOutputs, false},
		{"models are apart", "the same ID in two models is two predictions", testModels, false},
		{"lookup", "predictions are found by ID, with the latest label of their row", testLookup, false},
		{"counts", "answers, failures, attempts, shadows, labels and corrections are counted apart", testCounts, false},
		{"erase", "a subject's predictions go, by key and by ID, with their labels; cursors stay valid", testErase, false},
		{"trim", "the oldest go, but nothing that is kept; labels stay while their row has a prediction", testTrim, false},
		{"routes", "a route is replaced only from the revision it was made from", testRoutes, false},
		{"fenced routes", "a writer with an older token changes nothing, whatever revision it has read", testFencedRoutes, false},
		{"one route wins", "of 200 writers from one revision exactly one succeeds, the first time too", testRouteRace, true},
		{"routes move one by one", "each success is a revision of its own, none is lost", testRouteMoves, true},
		{"waiting for a route", "WaitRoute returns at once when the revision is another, and ends with its context", testWaitRoute, true},
		{"waiting for one another", "WaitRoute returns with the change that it waits for, whenever it comes", testWaitRoutes, true},
		{"empty store", "asking an empty store is no error, except for a route", testEmpty, false},
		{"concurrent writers", "stores are safe for concurrent use and lose nothing", testConcurrent, true},
		{"odd texts", "ids and keys are text that every database keeps; labels may be any", testOddTexts, false},
		{"bad rows", "values that do not fit their schema are refused, with nothing stored", testBadRows, false},
		{"cancelled context", "a cancelled context stops a call with its own error", testCancelled, false},
	}
}

// Run is the conformance suite of serve.Store: what every backend must do.
// newStore returns an empty store that is closed when its test ends.
func Run(t *testing.T, newStore func(t *testing.T) serve.Store) {
	t.Helper()
	runCases(t, storeCases(), newStore)
}

// RunInTx is Run for stores inside a caller's transaction, which one goroutine
// uses and whose WaitRoute is Unsupported.
func RunInTx(t *testing.T, newStore func(t *testing.T) serve.Store) {
	t.Helper()
	cases := slices.DeleteFunc(storeCases(), func(c storeCase) bool { return c.many })
	runCases(t, append(cases, storeCase{"waiting in a transaction", "it would wait for ever", testWaitInTx, false}), newStore)
}

func runCases(t *testing.T, cases []storeCase, newStore func(t *testing.T) serve.Store) {
	t.Helper()
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

var outputs = frame.Schema{{Name: "label", Kind: frame.String}, {Name: "probability.0", Kind: frame.Float64}, {Name: "probability.1", Kind: frame.Float64}}

func prediction(model, id string, variant serve.Variant) serve.Prediction {
	p := serve.Prediction{
		ID: id, Model: model, Version: 3, Variant: variant, Status: frame.Answered, Key: "customer 7", Time: start,
		Features: frame.Row{Schema: schema, Values: []frame.Value{
			frame.FloatValue(0.1), frame.IntValue(-5), frame.StringValue("größer, \"x\"\x00"), frame.BoolValue(true), frame.TimeValue(1_700_000_000_123),
		}},
		Outputs: frame.Row{Schema: outputs, Values: []frame.Value{
			frame.StringValue("UP"), frame.FloatValue(0.25), frame.FloatValue(0.75),
		}},
		Propensity: 0.95, Latency: 1234 * time.Nanosecond, RouteRev: 4, TraceID: "0af7651916cd43dd8448eb211c80319c",
	}
	p.Digest = serve.Digest(p.Features)
	return p
}

// with returns the prediction with a status, and without outputs when it says failure.
func with(p serve.Prediction, status serve.Status) serve.Prediction {
	if p.Status = status; !status.OK() {
		p.Outputs, p.Error = frame.Row{}, "it broke"
	}
	return p
}

// of returns the prediction with other inputs.
func of(p serve.Prediction, price float64) serve.Prediction {
	p.Features.Values = slices.Clone(p.Features.Values)
	p.Features.Values[0] = frame.FloatValue(price)
	p.Digest = serve.Digest(p.Features)
	return p
}

// at returns the prediction some time later.
func at(p serve.Prediction, later time.Duration) serve.Prediction {
	p.Time = p.Time.Add(later)
	return p
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
	require.True(t, want.Time.Equal(got.Time), "time: want %s, got %s", want.Time, got.Time)
	require.Equal(t, time.UTC, got.Time.Location())
	want.Seq, want.Time = got.Seq, got.Time
	if want.Attempt == 0 {
		want.Attempt = 1
	}
	require.Equal(t, want, got)
}

func testRoundTrip(t *testing.T, s serve.Store) {
	full := prediction("churn", "a", serve.Primary)
	regression := prediction("churn", "b", serve.Canary)
	regression.Outputs = frame.Row{Schema: frame.Schema{{Name: "label", Kind: frame.Float64}}, Values: []frame.Value{frame.FloatValue(2.5)}}
	failed := with(prediction("churn", "c", serve.Primary), frame.TimedOut)
	failed.Index = 7
	other := prediction("churn", "d", serve.Primary)
	other.Features = frame.Row{Schema: frame.Schema{{Name: "only", Kind: frame.Int64}}, Values: []frame.Value{frame.IntValue(math.MinInt64)}}
	other.Digest, other.TraceID = math.MaxUint64, ""
	fine := prediction("churn", "e", serve.Primary)
	fine.Time = start.Add(999 * time.Microsecond).In(time.FixedZone("CET", 3600))
	want := []serve.Prediction{full, regression, failed, other, fine}

	require.NoError(t, s.AppendPredictions(t.Context(), want))
	want[4].Time = start
	got := predictionsOf(t, s, serve.PredictionQuery{Model: "churn"})
	require.Len(t, got, len(want))
	for i := range want {
		requireSame(t, want[i], got[i])
		require.Positive(t, got[i].Seq)
	}
	require.Equal(t, []float64{0.25, 0.75}, got[0].Scores())
	require.Equal(t, frame.FloatValue(2.5), got[1].Label())
	require.Nil(t, got[1].Scores())
}

func testOddValues(t *testing.T, s serve.Store) {
	floats := []float64{math.NaN(), math.Float64frombits(0x7ff8000000001234), math.Float64frombits(0xfff0000000000001), math.Inf(1), math.Inf(-1),
		math.Copysign(0, -1), math.SmallestNonzeroFloat64, math.MaxFloat64, 1e21, 1.0 / 3}
	texts := []string{"", "NaN", "null", "\xff\xfe", "a\x00b", `\"[],{}`, "\u2028\U0001f600", "base64"}
	var row frame.Row
	for i, f := range floats {
		row.Schema = append(row.Schema, frame.Field{Name: fmt.Sprint("f", i), Kind: frame.Float64})
		row.Values = append(row.Values, frame.FloatValue(f))
	}
	for i, text := range texts {
		row.Schema = append(row.Schema, frame.Field{Name: fmt.Sprint("s", i), Kind: frame.String})
		row.Values = append(row.Values, frame.StringValue(text))
	}
	for _, kind := range []frame.Kind{frame.Float64, frame.Int64, frame.Bool, frame.String, frame.Time} {
		row.Schema = append(row.Schema, frame.Field{Name: "null " + string(kind), Kind: kind})
		row.Values = append(row.Values, frame.Value{})
	}
	p := prediction("churn", "a", serve.Primary)
	p.Features, p.Outputs = row, row
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{p}))
	got := predictionsOf(t, s, serve.PredictionQuery{Model: "churn"})
	require.Len(t, got, 1)
	for i := range row.Values { // == compares bits
		require.True(t, row.Values[i] == got[0].Features.Values[i], "feature %s", row.Schema[i].Name)
		require.True(t, row.Values[i] == got[0].Outputs.Values[i], "output %s", row.Schema[i].Name)
	}
}

func testKeepsNothing(t *testing.T, s serve.Store) {
	p := prediction("churn", "a", serve.Primary)
	want := prediction("churn", "a", serve.Primary)
	batch := []serve.Prediction{p}
	require.NoError(t, s.AppendPredictions(t.Context(), batch))
	p.Features.Values[0], p.Outputs.Values[0] = frame.FloatValue(-1), frame.StringValue("changed")
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

func testSelection(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
		prediction("churn", "a", serve.Primary), prediction("churn", "a", serve.Shadow), prediction("churn", "b", serve.Canary),
		with(prediction("churn", "c", serve.Canary), frame.Failed),
	}))
	for _, c := range []struct {
		variants []serve.Variant
		statuses []serve.Status
		want     int
	}{
		{nil, nil, 4},
		{[]serve.Variant{serve.Shadow}, nil, 1},
		{[]serve.Variant{serve.Primary, serve.Canary}, nil, 3},
		{nil, []serve.Status{frame.Failed, frame.TimedOut}, 1},
		{[]serve.Variant{serve.Canary}, []serve.Status{frame.Answered}, 1},
		{[]serve.Variant{serve.Primary}, []serve.Status{frame.Failed}, 0},
	} {
		require.Len(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn", Variants: c.variants, Statuses: c.statuses}), c.want)
	}
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
		require.Equal(t, frame.BoolValue(want), got[0].Truth.Value)
	}
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
	require.EqualValues(t, writers*each+1, counts.Predictions)
	require.EqualValues(t, writers*each, counts.Labels)
	require.Zero(t, counts.Reattempts)
}

func testCancelled(t *testing.T, s serve.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.AppendPredictions(ctx, []serve.Prediction{prediction("churn", "a", serve.Primary)}), context.Canceled)
	_, err := s.Predictions(ctx, serve.PredictionQuery{Model: "churn"})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}))
}

func testOddTexts(t *testing.T, s serve.Store) {
	for _, odd := range []string{"a\x00b", "\xff"} {
		for _, set := range []func(p *serve.Prediction){
			func(p *serve.Prediction) { p.ID = odd }, func(p *serve.Prediction) { p.Key = odd }, func(p *serve.Prediction) { p.Model = odd },
			func(p *serve.Prediction) { p.TraceID = odd }, func(p *serve.Prediction) { p.Error = odd },
		} {
			p := prediction("churn", "a", serve.Primary)
			set(&p)
			require.ErrorIs(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "b", serve.Primary), p}), serve.ErrInvalid)
		}
		unknown, err := s.AppendLabels(t.Context(), []serve.Label{label("churn", odd, frame.IntValue(1))})
		require.NoError(t, err)
		require.Len(t, unknown, 1)
		l := label("churn", "a", frame.IntValue(1))
		l.Output = odd
		_, err = s.AppendLabels(t.Context(), []serve.Label{l})
		require.ErrorIs(t, err, serve.ErrInvalid)
		found, err := s.Lookup(t.Context(), "churn", []string{odd})
		require.NoError(t, err)
		require.Empty(t, found)
		n, err := s.Erase(t.Context(), "churn", []string{odd})
		require.NoError(t, err)
		require.Zero(t, n)
	}
	require.Empty(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}))

	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "größer ? ' \" {p} $1", serve.Primary)}))
	values := []frame.Value{
		frame.StringValue(""), frame.StringValue("a\x00b"), frame.StringValue("\xff\xfe"), frame.StringValue(`\"[],{}`), frame.FloatValue(math.NaN()),
		frame.FloatValue(math.Inf(-1)), frame.TimeValue(-1), frame.BoolValue(true),
	}
	for _, v := range values {
		appendLabels(t, s, label("churn", "größer ? ' \" {p} $1", v))
	}
	got := labelsOf(t, s, serve.LabelQuery{Model: "churn"})
	require.Len(t, got, len(values))
	for i, v := range values {
		require.True(t, v.Equal(got[i].Truth.Value), "%q", v.Text())
		require.True(t, i == 0 || values[i-1].Equal(got[i].Truth.Replaces), "%q", v.Text())
	}
}

func testBadRows(t *testing.T, s serve.Store) {
	short := prediction("churn", "short", serve.Primary)
	short.Features.Values = short.Features.Values[:3]
	kind := prediction("churn", "kind", serve.Primary)
	kind.Outputs.Values = []frame.Value{frame.IntValue(1), {}, {}}
	status := with(prediction("churn", "status", serve.Primary), "")
	for _, bad := range []serve.Prediction{short, kind, status, prediction("churn", "variant", "tertiary")} {
		err := s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "a", serve.Primary), bad})
		require.ErrorIs(t, err, serve.ErrInvalid)
		require.ErrorContains(t, err, fmt.Sprintf("prediction %q: ", bad.ID))
	}
	require.Empty(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}))
}
