package servetest

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

func testLabelsJoin(t *testing.T, s serve.Store) {
	shadow, answer := prediction("churn", "a", serve.Shadow), prediction("churn", "a", serve.Canary)
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{shadow, answer, prediction("churn", "b", serve.Primary)}))
	truth := label("churn", "a", frame.FloatValue(math.NaN()))
	unknown, err := s.AppendLabels(t.Context(), []serve.Label{truth})
	require.NoError(t, err)
	require.Empty(t, unknown)

	got, err := s.Labels(t.Context(), serve.LabelQuery{Model: "churn"})
	require.NoError(t, err)
	require.Len(t, got, 2)
	requireSame(t, answer, got[0].Prediction)
	requireSame(t, shadow, got[1].Prediction)
	for _, l := range got {
		require.Positive(t, l.Label.Seq)
		truth.Seq = l.Label.Seq
		require.Equal(t, truth, l.Label)
	}
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
			if l.Label.Seq > after {
				got = append(got, l.Prediction.ID)
			}
			after = l.Label.Seq
		}
	}
	require.Equal(t, want, got)
}

func testUnknownLabels(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "a", serve.Primary), prediction("churn", "b", serve.Shadow)}))
	unknown, err := s.AppendLabels(t.Context(), []serve.Label{
		label("churn", "x", frame.IntValue(1)), label("churn", "a", frame.IntValue(1)), label("churn", "y", frame.IntValue(1)),
		label("churn", "b", frame.IntValue(1)), label("churn", "x", frame.IntValue(2)),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"x", "y"}, unknown)
	counts, err := s.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 2, counts.Labels)
}

func testRelabel(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "a", serve.Primary), prediction("churn", "b", serve.Primary)}))
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{prediction("churn", "c", serve.Primary)}))
	_, err := s.AppendLabels(t.Context(), []serve.Label{label("other", "c", frame.FloatValue(0))})
	require.NoError(t, err)
	for _, equal := range []float64{0, math.Copysign(0, -1)} {
		_, err = s.AppendLabels(t.Context(), []serve.Label{label("churn", "c", frame.FloatValue(equal))})
		require.NoError(t, err, "0 and -0 are one label")
	}

	first := label("churn", "a", frame.IntValue(1))
	_, err = s.AppendLabels(t.Context(), []serve.Label{first, first})
	require.NoError(t, err)
	later := first
	later.Time = first.Time.AddDate(0, 0, 1)
	_, err = s.AppendLabels(t.Context(), []serve.Label{later})
	require.NoError(t, err, "an equal label is a no-op")

	for _, other := range []frame.Value{frame.IntValue(2), frame.FloatValue(1), frame.StringValue("1"), {}} {
		_, err = s.AppendLabels(t.Context(), []serve.Label{label("churn", "b", frame.IntValue(1)), label("churn", "a", other)})
		require.ErrorIs(t, err, serve.ErrConflict)
		require.ErrorContains(t, err, `"a"`)
	}
	_, err = s.AppendLabels(t.Context(), []serve.Label{label("churn", "b", frame.IntValue(1)), label("churn", "b", frame.IntValue(2))})
	require.ErrorIs(t, err, serve.ErrConflict, "within one batch too")

	got, err := s.Lookup(t.Context(), "churn", []string{"a", "b"})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.True(t, first.Time.Equal(got[0].Label.Time), "the first label stays")
	require.Zero(t, got[1].Label, "nothing of a refused batch is stored")
}

func testLookup(t *testing.T, s serve.Store) {
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{
		prediction("churn", "b", serve.Primary), prediction("churn", "a", serve.Shadow), prediction("churn", "a", serve.Primary), prediction("other", "c", serve.Primary),
	}))
	_, err := s.AppendLabels(t.Context(), []serve.Label{label("churn", "a", frame.StringValue("yes"))})
	require.NoError(t, err)
	got, err := s.Lookup(t.Context(), "churn", []string{"a", "c", "b", "a"})
	require.NoError(t, err)
	require.Len(t, got, 3)
	requireSame(t, prediction("churn", "b", serve.Primary), got[0].Prediction)
	requireSame(t, prediction("churn", "a", serve.Shadow), got[1].Prediction)
	requireSame(t, prediction("churn", "a", serve.Primary), got[2].Prediction)
	require.Equal(t, serve.Label{}, got[0].Label)
	require.Equal(t, frame.StringValue("yes"), got[1].Label.Value)
	require.Equal(t, got[1].Label, got[2].Label)
}

func testRoutes(t *testing.T, s serve.Store) {
	r := serve.Route{Model: "churn", Primary: 1, Rev: 1}
	require.NoError(t, s.PutRoute(t.Context(), r))
	require.ErrorIs(t, s.PutRoute(t.Context(), r), serve.ErrConflict, "revision 1 is there")
	next := serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 0.05, Shadow: 3, Salt: "s", Rev: 2}
	require.NoError(t, s.PutRoute(t.Context(), next))
	require.NoError(t, s.PutRoute(t.Context(), serve.Route{Model: "fraud", Primary: 7, Rev: 1}))
	got, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, next, got)

	for _, rev := range []int64{-1, 0, 1, 2, 4} {
		err := s.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: 9, Rev: rev})
		require.ErrorIs(t, err, serve.ErrConflict, "revision %d", rev)
	}
	require.ErrorIs(t, s.PutRoute(t.Context(), serve.Route{Model: "new", Primary: 1, Rev: 2}), serve.ErrConflict)
	got, err = s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, next, got)
}

func testRouteRace(t *testing.T, s serve.Store) {
	require.NoError(t, s.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 1}))
	var wins atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if s.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: int64(i + 2), Rev: 2}) == nil {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, wins.Load())
}
