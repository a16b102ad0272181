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

// TestTextsThatNoDatabaseKeeps: a request is refused rather than answered and
// not logged; an error's text is kept without what cannot be.
func TestTextsThatNoDatabaseKeeps(t *testing.T) {
	sig := servetest.Constant("one").Signature()
	broken := servetest.Func{Sig: sig, F: func(context.Context, []frame.Tensor) ([]frame.Tensor, error) {
		return nil, errors.New("bad\x00 \xffbyte")
	}}
	s := servetest.New(t, "m", broken, &serve.Options{Log: servemem.New()})
	for _, req := range []serve.Request{{ID: "a\x00"}, {Key: "\xff"}, {TraceID: "\x00"}} {
		req.Inputs = servetest.X(1)
		_, err := s.Predict(t.Context(), "m", req)
		require.ErrorIs(t, err, serve.ErrInvalid)
		require.ErrorContains(t, err, "want UTF-8 without the character U+0000")
	}
	_, err := s.Predict(t.Context(), "m", serve.Request{ID: "ü", Inputs: servetest.X(1)})
	require.ErrorContains(t, err, "bad\x00")
	ps := servetest.RequirePredictions(t, s, "m", 1)
	require.Equal(t, "ü", ps[0].ID)
	require.True(t, serve.Storable(ps[0].Error))
	require.Contains(t, ps[0].Error, "bad byte")
	require.NoError(t, ps[0].Check())
}

// TestCheckNamesEverything: all that is wrong with a prediction is told at once.
func TestCheckNamesEverything(t *testing.T) {
	err := serve.Prediction{ID: "a\x00", Features: frame.Row{Schema: frame.Schema{{Name: "x", Kind: frame.Float64}}}}.Check()
	require.ErrorIs(t, err, serve.ErrInvalid)
	for _, want := range []string{`prediction "a\x00"`, "0 values for 1 columns", `unknown variant ""`, `unknown status ""`, "id "} {
		require.ErrorContains(t, err, want)
	}
}
