package servetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/train/frame"
)

// Server is a serve.Server for unit tests with its log at hand.
type Server struct {
	*serve.Server
	Log serve.Store
}

// New returns a server that answers for model with p as its version 1, and
// closes it when the test ends. opts may be nil; without a Log in it
// predictions are kept in memory.
func New(t testing.TB, model string, p serve.Predictor, opts *serve.Options) *Server {
	t.Helper()
	var o serve.Options
	if opts != nil {
		o = *opts
	}
	if o.Log == nil {
		o.Log = servemem.New()
	}
	s := &Server{serve.New(nil, &o), o.Log}
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	require.NoError(t, s.Add(model, 1, p))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: model, Primary: 1}))
	return s
}

// RequirePredictions returns the model's logged predictions, shadow ones
// included, after checking their number.
func RequirePredictions(t testing.TB, s *Server, model string, n int) []serve.Prediction {
	t.Helper()
	require.NoError(t, s.Flush(t.Context()))
	ps, err := s.Log.Predictions(t.Context(), serve.PredictionQuery{Model: model, Limit: n + 1})
	require.NoError(t, err)
	require.Len(t, ps, n)
	return ps
}

// RequireLabel checks that the prediction has the label.
func RequireLabel(t testing.TB, s *Server, model, id string, want frame.Value) {
	t.Helper()
	found, err := s.Log.Lookup(t.Context(), model, []string{id})
	require.NoError(t, err)
	require.NotEmpty(t, found, "no prediction %q", id)
	require.Positive(t, found[0].Truth.Seq, "prediction %q has no label", id)
	require.True(t, want.Equal(found[0].Truth.Value), "prediction %q: want label %q, got %q", id, want.Text(), found[0].Truth.Value.Text())
}
