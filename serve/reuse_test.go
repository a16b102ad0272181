package serve_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// TestIDsDoNotCollide: a batch's rows are apart from a single request whose ID
// looks like one of them.
func TestIDsDoNotCollide(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "order", Inputs: servetest.X(1, 2)})
	require.NoError(t, err)
	ask(t, s.Server, "churn", "order/1")
	servetest.RequirePredictions(t, s, "churn", 3)
}

// TestReusedID: the same ID with other inputs is a further attempt, and a label
// joins the latest one before it.
func TestReusedID(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	for _, x := range []float64{1, 2, 1} {
		_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "a", Inputs: servetest.X(x)})
		require.NoError(t, err)
	}
	labelAll(t, s, "churn", text("a", 0, "goes"))
	ps := servetest.RequirePredictions(t, s, "churn", 2)
	require.Equal(t, []int{1, 2}, []int{ps[0].Attempt, ps[1].Attempt})
	labelled, err := s.Log.Labels(t.Context(), serve.LabelQuery{Model: "churn"})
	require.NoError(t, err)
	require.Len(t, labelled, 1)
	require.Equal(t, frame.FloatValue(2), labelled[0].Features.Get("x"))
	counts, err := s.Log.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 1, counts.Reattempts)
}

// stubborn is a store that takes no routes once it is told so.
type stubborn struct {
	serve.Store
	err error
}

func (s *stubborn) PutRoute(ctx context.Context, r serve.Route) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.PutRoute(ctx, r)
}

// TestFailedChangeReleases: a version that was loaded for a change of the route
// that then failed is closed, whatever failed.
func TestFailedChangeReleases(t *testing.T) {
	models, log := newFakeModels(1), &stubborn{Store: servemem.New()}
	s, open := newServer(t, models, &serve.Options{Log: log})
	require.NoError(t, s.Load(t.Context(), "churn@champion"))
	require.Equal(t, 1, open.add(0))

	models.damage(3, true)
	require.ErrorIs(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 2, Shadow: 3, Rev: 1}), serve.ErrCorrupt)
	require.Equal(t, 1, open.add(0), "version 2 was loaded before 3 could not be")

	log.err = errors.New("no")
	require.ErrorIs(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}), log.err)
	require.Equal(t, 1, open.add(0), "the route could not be stored")
	log.err = nil
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
	require.Equal(t, 2, open.add(0))
}
