package servetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

func testLabelsJoin(t *testing.T, s serve.Store) {
	answer, shadow := prediction("churn", "a", serve.Canary), prediction("churn", "a", serve.Shadow)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{answer, prediction("churn", "b", serve.Primary)}))
	truth := label("churn", "a", frame.FloatValue(math.NaN()))
	appendLabels(t, s, truth)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{shadow})) // later than the label

	got := labelsOf(t, s, serve.LabelQuery{Model: "churn"})
	require.Len(t, got, 2)
	requireSame(t, answer, got[0].Prediction)
	requireSame(t, shadow, got[1].Prediction)
	for _, l := range got {
		require.Positive(t, l.Truth.Seq)
		truth.Seq, truth.Output = l.Truth.Seq, serve.LabelOutput
		require.Equal(t, truth, l.Truth)
	}

	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
		with(prediction("churn", "f", serve.Canary), frame.Failed), with(prediction("churn", "f", serve.Primary), frame.Fallback),
		with(prediction("churn", "f", serve.Shadow), frame.TimedOut),
	}))
	appendLabels(t, s, label("churn", "f", frame.StringValue("UP")))
	got = labelsOf(t, s, serve.LabelQuery{Model: "churn", After: truth.Seq})
	require.Len(t, got, 1, "no failure joins")
	require.Equal(t, frame.Fallback, got[0].Status)
}

// appendLabels stores labels whose rows are all known.
func appendLabels(t *testing.T, s serve.Store, ls ...serve.Label) {
	t.Helper()
	unknown, err := s.AppendLabels(t.Context(), ls)
	require.NoError(t, err)
	require.Empty(t, unknown)
}

func labelsOf(t *testing.T, s serve.Store, q serve.LabelQuery) []serve.LabelledPrediction {
	t.Helper()
	ls, err := s.Labels(t.Context(), q)
	require.NoError(t, err)
	return ls
}

func testLabelsOfAttempts(t *testing.T, s serve.Store) {
	first, second := prediction("churn", "a", serve.Primary), of(prediction("churn", "a", serve.Primary), 2)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{first}))
	appendLabels(t, s, label("churn", "a", frame.IntValue(1)))
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{second, with(of(second, 3), frame.Failed)}))
	appendLabels(t, s, label("churn", "a", frame.IntValue(2)))
	got := labelsOf(t, s, serve.LabelQuery{Model: "churn"})
	require.Len(t, got, 2)
	require.Equal(t, []int{1, 2}, []int{got[0].Attempt, got[1].Attempt}, "each label with the latest answered attempt before it")
	require.Equal(t, []frame.Value{frame.IntValue(1), frame.IntValue(2)}, []frame.Value{got[0].Truth.Value, got[1].Truth.Value})
	require.Equal(t, frame.IntValue(1), got[1].Truth.Replaces)
}

func testLabelPages(t *testing.T, s serve.Store) {
	var want []string
	for i := range 9 {
		id := fmt.Sprint("id", i)
		want = append(want, id)
		require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", id, serve.Primary), prediction("churn", id, serve.Shadow)}))
		_, err := s.AppendLabels(t.Context(), []serve.Label{label("churn", id, frame.IntValue(int64(i)))})
		require.NoError(t, err)
	}
	var got []string
	after := int64(0)
	for {
		page, err := s.Labels(t.Context(), serve.LabelQuery{Model: "churn", After: after, Limit: 4})
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		require.LessOrEqual(t, len(page), 8, "4 labels with 2 predictions each")
		for _, l := range page {
			if l.Truth.Seq > after {
				got = append(got, l.Prediction.ID)
			}
			after = l.Truth.Seq
		}
	}
	require.Equal(t, want, got)
}

func testUnknownLabels(t *testing.T, s serve.Store) {
	failed := with(prediction("churn", "failed", serve.Primary), frame.Failed)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "a", serve.Primary), prediction("churn", "b", serve.Canary), failed}))
	row := label("churn", "a", frame.IntValue(1))
	row.Index = 1
	other := label("fraud", "a", frame.IntValue(1))
	unknown := []serve.Label{label("churn", "x", frame.IntValue(1)), row, label("churn", "failed", frame.IntValue(1)), other, label("churn", "x", frame.IntValue(2))}
	ls := []serve.Label{unknown[0], label("churn", "a", frame.IntValue(1)), unknown[1], unknown[2], label("churn", "b", frame.IntValue(1)), unknown[3], unknown[4]}
	got, err := s.AppendLabels(t.Context(), ls)
	require.NoError(t, err)
	require.Equal(t, unknown, got)
	for i, l := range ls {
		require.Equal(t, i == 1 || i == 4, l.Seq > 0, "label %d: a Seq says that it was stored", i)
	}
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 2, counts.Labels)
}

func testRelabel(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "a", serve.Primary), prediction("churn", "c", serve.Primary)}))
	for _, equal := range []float64{0, math.Copysign(0, -1)} {
		appendLabels(t, s, label("churn", "c", frame.FloatValue(equal))) // 0 and -0 are one label
	}
	first := label("churn", "a", frame.IntValue(1))
	again := first
	again.Time = first.Time.AddDate(0, 0, 1)
	again.Output = serve.LabelOutput
	appendLabels(t, s, first, again)
	appendLabels(t, s, again)
	require.Len(t, labelsOf(t, s, serve.LabelQuery{Model: "churn"}), 2, "an equal label is a no-op")

	changes := []frame.Value{frame.IntValue(2), frame.FloatValue(2), frame.StringValue("2"), frame.IntValue(1)}
	ls := make([]serve.Label, len(changes))
	for i, v := range changes {
		ls[i] = label("churn", "a", v)
	}
	appendLabels(t, s, ls[:2]...)
	appendLabels(t, s, ls[2:]...)
	got := labelsOf(t, s, serve.LabelQuery{Model: "churn"})[1:]
	require.Len(t, got, 5)
	for i, v := range append([]frame.Value{frame.IntValue(1)}, changes...) {
		require.Equal(t, v, got[i].Truth.Value)
		require.Equal(t, append([]frame.Value{{}, frame.IntValue(1)}, changes...)[i], got[i].Truth.Replaces)
		if i > 0 {
			require.Equal(t, got[i].Truth.Seq, ls[i-1].Seq, "the caller is told")
			require.Equal(t, got[i].Truth.Replaces, ls[i-1].Replaces)
		}
	}
	found, err := s.Lookup(t.Context(), "churn", []string{"a"})
	require.NoError(t, err)
	require.Equal(t, got[4].Truth, found[0].Truth, "the latest counts")
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, []int64{2, 4, got[4].Truth.Seq}, []int64{counts.Labels, counts.Corrections, counts.LastLabel})
}

func testOutputs(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "a", serve.Primary)}))
	other := label("churn", "a", frame.IntValue(2))
	other.Output = "value"
	appendLabels(t, s, label("churn", "a", frame.IntValue(1)), other)
	got := labelsOf(t, s, serve.LabelQuery{Model: "churn"})
	require.Len(t, got, 2)
	require.Equal(t, "value", got[1].Truth.Output)
	require.True(t, got[1].Truth.Replaces.IsNull())
	found, err := s.Lookup(t.Context(), "churn", []string{"a"})
	require.NoError(t, err)
	require.Equal(t, frame.IntValue(1), found[0].Truth.Value, "Lookup tells of LabelOutput")
}

func testLookup(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
		prediction("churn", "b", serve.Primary), prediction("churn", "a", serve.Primary), prediction("churn", "a", serve.Shadow), prediction("other", "c", serve.Primary),
	}))
	appendLabels(t, s, label("churn", "a", frame.StringValue("yes")))
	got, err := s.Lookup(t.Context(), "churn", []string{"a", "c", "b", "a"})
	require.NoError(t, err)
	require.Len(t, got, 3)
	requireSame(t, prediction("churn", "b", serve.Primary), got[0].Prediction)
	requireSame(t, prediction("churn", "a", serve.Primary), got[1].Prediction)
	requireSame(t, prediction("churn", "a", serve.Shadow), got[2].Prediction)
	require.Equal(t, serve.Label{}, got[0].Truth)
	require.Equal(t, frame.StringValue("yes"), got[1].Truth.Value)
	require.Equal(t, got[1].Truth, got[2].Truth)
}
