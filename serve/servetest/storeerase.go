package servetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

func testErase(t *testing.T, s serve.Store) {
	mine, batch, other := prediction("churn", "a", serve.Primary), prediction("churn", "customer 8", serve.Primary), prediction("churn", "z", serve.Primary)
	other.Key = "customer 9"
	second := of(batch, 2)
	second.Index = 1
	batch.Key, second.Key = "customer 8", "customer 8"
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{mine, prediction("churn", "a", serve.Shadow), other, batch, second, prediction("fraud", "a", serve.Primary)}))
	appendLabels(t, s, label("churn", "a", frame.IntValue(1)), label("churn", "z", frame.IntValue(1)), label("churn", "z", frame.IntValue(2)), label("fraud", "a", frame.IntValue(1)))
	before, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)

	for _, c := range []struct {
		subjects []string
		want     int64
	}{{nil, 0}, {[]string{"nobody", "z"}, 1}, {[]string{"customer 7", "customer 8", "customer 8"}, 4}, {[]string{"customer 7"}, 0}} {
		n, err := s.Erase(t.Context(), "churn", c.subjects)
		require.NoError(t, err)
		require.Equal(t, c.want, n, "%q", c.subjects)
	}
	requireRows(t, s)
	require.Empty(t, labelsOf(t, s, serve.LabelQuery{Model: "churn"}))
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Counts{}, counts)
	require.Len(t, labelsOf(t, s, serve.LabelQuery{Model: "fraud"}), 1, "another model's stay")

	// What comes later lies behind every cursor, and is the row's first attempt.
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{mine}))
	appendLabels(t, s, label("churn", "a", frame.IntValue(1)))
	again := predictionsOf(t, s, serve.PredictionQuery{Model: "churn", After: before.LastSeq})
	require.Len(t, again, 1)
	require.Equal(t, 1, again[0].Attempt)
	truths := labelsOf(t, s, serve.LabelQuery{Model: "churn", After: before.LastLabel})
	require.Len(t, truths, 1)
	require.True(t, truths[0].Truth.Replaces.IsNull(), "nothing of the erased label is known")

	// A shadow that answers after the erasure brings nothing back.
	appendEach(t, s, of(prediction("churn", "z", serve.Shadow), 1))
	require.Len(t, predictionsOf(t, s, serve.PredictionQuery{Model: "churn", After: before.LastSeq}), 1)
}

func testTrim(t *testing.T, s serve.Store) {
	var ps []serve.Prediction
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		ps = append(ps, at(prediction("churn", id, serve.Primary), time.Duration(i)*time.Hour))
	}
	ps[0], ps[1] = ps[1], ps[0] // a clock was set back
	reused := of(at(prediction("churn", "a", serve.Primary), 9*time.Hour), 2)
	require.NoError(t, s.AppendPredictions(t.Context(), append(ps, reused, prediction("fraud", "a", serve.Primary))))
	appendLabels(t, s, label("churn", "a", frame.IntValue(1)), label("churn", "b", frame.IntValue(1)), label("churn", "e", frame.IntValue(1)))
	all := predictionsOf(t, s, serve.PredictionQuery{Model: "churn"})

	trim := func(q serve.Trim) int64 {
		q.Model = "churn"
		n, err := s.Trim(t.Context(), q)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, trim(serve.Trim{Before: start}))
	require.Zero(t, trim(serve.Trim{Before: start.AddDate(1, 0, 0), KeepFrom: all[0].Seq}))
	require.EqualValues(t, 1, trim(serve.Trim{Before: start.Add(3 * time.Hour), Limit: 1}))
	requireIDs(t, s, "b", "c", "d", "e", "a")
	require.Len(t, labelsOf(t, s, serve.LabelQuery{Model: "churn"}), 3, "a's later attempt has its label still")
	require.EqualValues(t, 2, trim(serve.Trim{Before: start.Add(3 * time.Hour)}), "b and c; d is no older")
	require.EqualValues(t, 1, trim(serve.Trim{Before: start.AddDate(1, 0, 0), KeepFrom: all[4].Seq}), "d; e is kept")
	requireIDs(t, s, "e", "a")
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, []int64{2, 1, 2}, []int64{counts.Predictions, counts.Reattempts, counts.Labels})
	require.True(t, start.Add(4*time.Hour).Equal(counts.Oldest))
	require.Len(t, predictionsOf(t, s, serve.PredictionQuery{Model: "fraud"}), 1)
}

func requireIDs(t *testing.T, s serve.Store, want ...string) {
	t.Helper()
	var got []string
	for _, p := range predictionsOf(t, s, serve.PredictionQuery{Model: "churn"}) {
		got = append(got, p.ID)
	}
	require.Equal(t, want, got)
}
