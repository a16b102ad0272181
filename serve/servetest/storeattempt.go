package servetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// row is what the cases below look at.
type row struct {
	id             string
	index, attempt int
	variant        serve.Variant
	status         serve.Status
}

func requireRows(t *testing.T, s serve.Store, want ...row) {
	t.Helper()
	var got []row
	for _, p := range predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}) {
		got = append(got, row{p.ID, p.Index, p.Attempt, p.Variant, p.Status})
	}
	require.Equal(t, want, got)
}

// appendEach stores predictions one by one and then, in another store's place,
// all at once would give the same: Run's sequences compare that.
func appendEach(t *testing.T, s serve.Store, ps ...serve.Prediction) {
	t.Helper()
	for _, p := range ps {
		require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{p}))
	}
}

func testSameRequest(t *testing.T, s serve.Store) {
	p := prediction("churn", "a", serve.Primary)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{p, at(p, time.Second)}))
	appendEach(t, s, at(p, time.Minute), at(prediction("churn", "a", serve.Canary), time.Hour), with(at(p, 2*time.Hour), frame.Failed),
		prediction("churn", "b", serve.Primary))
	requireRows(t, s, row{"a", 0, 1, serve.Primary, frame.Answered}, row{"b", 0, 1, serve.Primary, frame.Answered})
}

func testReusedID(t *testing.T, s serve.Store) {
	p := prediction("churn", "a", serve.Primary)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{p, of(p, 2)}))
	appendEach(t, s, of(at(prediction("churn", "a", serve.Canary), time.Minute), 3), at(p, time.Hour), of(at(p, time.Hour), 2))
	requireRows(t, s, row{"a", 0, 1, serve.Primary, frame.Answered}, row{"a", 0, 2, serve.Primary, frame.Answered},
		row{"a", 0, 3, serve.Canary, frame.Answered})
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, []int64{3, 2}, []int64{counts.Predictions, counts.Reattempts})
}

func testBatchRows(t *testing.T, s serve.Store) {
	first := prediction("churn", "order", serve.Primary)
	second := of(first, 2)
	second.Index = 1
	single := of(prediction("churn", "order/1", serve.Primary), 99)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{first, second}))
	appendEach(t, s, single, second)
	requireRows(t, s, row{"order", 0, 1, serve.Primary, frame.Answered}, row{"order", 1, 1, serve.Primary, frame.Answered},
		row{"order/1", 0, 1, serve.Primary, frame.Answered})
}

func testUnanswered(t *testing.T, s serve.Store) {
	p := prediction("churn", "a", serve.Primary)
	for i, status := range []serve.Status{frame.Failed, frame.TimedOut, frame.Refused, frame.Answered, frame.Failed} {
		appendEach(t, s, with(at(p, time.Duration(i)*time.Second), status))
	}
	requireRows(t, s, row{"a", 0, 1, serve.Primary, frame.Failed}, row{"a", 0, 2, serve.Primary, frame.TimedOut},
		row{"a", 0, 3, serve.Primary, frame.Refused}, row{"a", 0, 4, serve.Primary, frame.Answered})
}

func testFallback(t *testing.T, s serve.Store) {
	canary := with(prediction("churn", "a", serve.Canary), frame.TimedOut)
	primary := with(at(prediction("churn", "a", serve.Primary), 0), frame.Fallback)
	// The two versions may read other columns.
	primary.Features, primary.Digest = frame.Row{}, serve.Digest(frame.Row{})
	appendEach(t, s, canary, primary, at(primary, time.Minute))

	both := with(prediction("churn", "b", serve.Canary), frame.Failed)
	primaryToo := with(prediction("churn", "b", serve.Primary), frame.Failed)
	later := at(prediction("churn", "b", serve.Primary), time.Minute)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{both, primaryToo, later}))

	// The fallback was lost; asked again, the primary answers: nobody's fallback.
	lost := with(prediction("churn", "c", serve.Canary), frame.Failed)
	appendEach(t, s, lost, at(prediction("churn", "c", serve.Primary), time.Minute))
	requireRows(t, s,
		row{"a", 0, 1, serve.Canary, frame.TimedOut}, row{"a", 0, 1, serve.Primary, frame.Fallback},
		row{"b", 0, 1, serve.Canary, frame.Failed}, row{"b", 0, 1, serve.Primary, frame.Failed}, row{"b", 0, 2, serve.Primary, frame.Answered},
		row{"c", 0, 1, serve.Canary, frame.Failed}, row{"c", 0, 2, serve.Primary, frame.Answered})
}

func testShadow(t *testing.T, s serve.Store) {
	p, shadow := prediction("churn", "a", serve.Primary), prediction("churn", "a", serve.Shadow)
	appendEach(t, s, shadow) // nothing to stand beside
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{p, of(at(p, time.Second), 2), shadow}))
	appendEach(t, s, with(at(shadow, time.Minute), frame.Failed), of(with(shadow, frame.TimedOut), 2), of(shadow, 3))
	requireRows(t, s, row{"a", 0, 1, serve.Primary, frame.Answered}, row{"a", 0, 2, serve.Primary, frame.Answered},
		row{"a", 0, 1, serve.Shadow, frame.Answered}, row{"a", 0, 2, serve.Shadow, frame.TimedOut})
}

func testStoredTwice(t *testing.T, s serve.Store) {
	p := prediction("churn", "a", serve.Primary)
	batch := []serve.Prediction{
		with(p, frame.Failed), with(at(p, time.Second), frame.Failed), at(p, 2*time.Second), at(prediction("churn", "a", serve.Shadow), 3*time.Second),
		with(prediction("churn", "b", serve.Canary), frame.Failed), with(prediction("churn", "b", serve.Primary), frame.Fallback),
	}
	require.NoError(t, s.AppendPredictions(t.Context(), batch))
	want := predictionsOf(t, s, serve.PredictionQuery{Model: "churn"})
	require.Len(t, want, len(batch))
	require.NoError(t, s.AppendPredictions(t.Context(), batch))
	require.Equal(t, want, predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}))
}

func testCounts(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
		at(prediction("churn", "a", serve.Primary), time.Hour), prediction("churn", "b", serve.Canary), prediction("churn", "b", serve.Shadow),
		with(prediction("churn", "c", serve.Primary), frame.Refused), at(prediction("churn", "c", serve.Primary), time.Minute),
		with(prediction("churn", "d", serve.Canary), frame.Failed), with(prediction("churn", "d", serve.Primary), frame.Fallback),
		prediction("other", "a", serve.Primary),
	}))
	appendLabels(t, s, label("churn", "a", frame.IntValue(1)), label("churn", "b", frame.IntValue(1)), label("churn", "b", frame.IntValue(2)))
	got, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Positive(t, got.Bytes)
	ps, ls := predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}), labelsOf(t, s, serve.LabelQuery{Model: "churn"})
	got.Bytes = 0
	require.Equal(t, serve.Counts{
		Predictions: 4, Unanswered: 2, Reattempts: 1, Shadow: 1, Labels: 2, Corrections: 1,
		LastSeq: ps[len(ps)-1].Seq, LastLabel: ls[len(ls)-1].Truth.Seq, Oldest: start,
	}, got)
}
