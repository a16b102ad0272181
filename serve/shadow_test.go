package serve_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// newShadowed returns a server whose version 2 is asked beside version 1.
func newShadowed(t *testing.T, shadow serve.Predictor, opts *serve.Options) *servetest.Server {
	t.Helper()
	s := servetest.New(t, "churn", servetest.Constant("one"), opts)
	require.NoError(t, s.Add("churn", 2, shadow))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
	return s
}

// TestShadowSync: every answer of the shadow is logged under the primary's ID,
// and before it, so that no crash leaves an answer without its shadow; the
// observer does not hear of it.
func TestShadowSync(t *testing.T) {
	w := &witness{}
	s := newShadowed(t, servetest.Constant("two"), &serve.Options{ShadowSync: true, Observer: w})
	for i := range 3 {
		require.Equal(t, "one", ask(t, s.Server, "churn", fmt.Sprint(i)))
	}
	for i, p := range servetest.RequirePredictions(t, s, "churn", 6) {
		require.Equal(t, fmt.Sprint(i/2), p.ID)
		want := []serve.Prediction{
			{Variant: serve.Shadow, Version: 2, Output: frame.StringValue("two")},
			{Variant: serve.Primary, Version: 1, Output: frame.StringValue("one")},
		}[i%2]
		require.Equal(t, want.Variant, p.Variant)
		require.Equal(t, want.Version, p.Version)
		require.Equal(t, want.Output, p.Output)
		require.Equal(t, frame.FloatValue(1), p.Features.Get("x"))
	}
	require.Len(t, w.predictions, 3)
}

// TestSlowShadow: the shadow's time is not the caller's, and what does not fit
// its queue is passed over and counted.
func TestSlowShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast := servetest.Constant("two")
		s := newShadowed(t, servetest.Func{Sig: fast.Signature(), F: func(ctx context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
			time.Sleep(time.Minute)
			return fast.Predict(ctx, in)
		}}, &serve.Options{ShadowQueue: 2})
		began := time.Now()
		x := servetest.X(5)
		for i := range 10 {
			_, err := s.Predict(t.Context(), "churn", serve.Request{ID: fmt.Sprint(i), Inputs: x})
			require.NoError(t, err)
			synctest.Wait()
		}
		x[0].Data.([]float64)[0] = 6 // callers reuse their tensors
		require.Zero(t, time.Since(began))
		require.EqualValues(t, 7, s.Stats().ShadowDropped, "one is being answered, two wait")
		time.Sleep(time.Hour)
		ps := servetest.RequirePredictions(t, s, "churn", 13)
		for _, p := range ps {
			require.Equal(t, frame.FloatValue(5), p.Features.Get("x"))
		}
	})
}

// TestFailingShadow: errors, panics and another signature of the shadow stay behind the curtain.
func TestFailingShadow(t *testing.T) {
	for why, shadow := range map[string]serve.Predictor{
		"error":           servetest.Func{Sig: servetest.Constant("").Signature(), F: func(context.Context, []frame.Tensor) ([]frame.Tensor, error) { return nil, fmt.Errorf("no") }},
		"panic":           servetest.Func{Sig: servetest.Constant("").Signature(), F: func(context.Context, []frame.Tensor) ([]frame.Tensor, error) { panic("no") }},
		"other signature": sums(),
	} {
		for _, sync := range []bool{true, false} {
			t.Run(fmt.Sprint(why, " sync=", sync), func(t *testing.T) {
				s := newShadowed(t, shadow, &serve.Options{ShadowSync: sync})
				require.Equal(t, "one", ask(t, s.Server, "churn", "a"))
				require.NoError(t, s.Close(t.Context())) // drains the shadow's queue
				require.EqualValues(t, 1, s.Stats().ShadowFailed)
				c, err := s.Log.Counts(t.Context(), "churn")
				require.NoError(t, err)
				require.Equal(t, serve.Counts{Predictions: 1}, c)
			})
		}
	}
}

// TestShadowOutlivesItsRoute: a shadow that is taken off the route still
// answers what waits for it.
func TestShadowOutlivesItsRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models := newFakeModels(1)
		s, open := newServer(t, models, &serve.Options{KeepWarm: -1})
		require.NoError(t, s.Load(t.Context(), "churn@champion"))
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
		ask(t, s, "churn", "a")
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 2}))
		synctest.Wait()
		require.Equal(t, 1, open.add(0), "closed after its last answer")
		require.Zero(t, s.Stats().ShadowFailed)
	})
}
