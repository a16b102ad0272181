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

// newCanaried returns a server whose version 2 gets all keys.
func newCanaried(t *testing.T, canary serve.Predictor, opts *serve.Options) *servetest.Server {
	t.Helper()
	s := servetest.New(t, "churn", servetest.Constant("one"), opts)
	require.NoError(t, s.Add("churn", 2, canary))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 1, Rev: 1}))
	return s
}

// broken returns a predictor whose outputs are not what its signature says.
func broken() serve.Predictor {
	p := servetest.Constant("two")
	return servetest.Func{Sig: p.Signature(), F: func(context.Context, []frame.Tensor) ([]frame.Tensor, error) { return nil, nil }}
}

// TestFailingCanary: whatever a canary does wrong, the primary answers, marked
// as a fallback; both rows are in the log, one attempt.
func TestFailingCanary(t *testing.T) {
	one := servetest.Constant("two")
	for why, c := range map[string]struct {
		canary serve.Predictor
		status serve.Status
		want   string
	}{
		"error":           {servetest.Failing(one, 1), frame.Failed, "as it was told to"},
		"panic":           {servetest.Panicking(one, 1), frame.Failed, "version 2 panicked"},
		"bad outputs":     {broken(), frame.Failed, "0 outputs"},
		"refusal":         {servetest.Refusing(one, 1), frame.Failed, "invalid"},
		"other signature": {sums(), frame.Failed, `input "x" is unknown`},
		"late":            {servetest.Slow(one, time.Minute), frame.TimedOut, "did not answer in time"},
	} {
		t.Run(why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &witness{}
				s := newCanaried(t, c.canary, &serve.Options{Observers: map[string]serve.Observer{"churn": w}})
				resp, err := s.Predict(t.Context(), "churn", serve.Request{ID: "a", Inputs: servetest.X(1)})
				require.NoError(t, err)
				require.Equal(t, []any{"a", int64(1), serve.Primary, true}, []any{resp.ID, resp.Version, resp.Variant, resp.Fallback})
				require.Equal(t, []string{"one"}, resp.Outputs[0].Data)

				ps := servetest.RequirePredictions(t, s, "churn", 2)
				require.Equal(t, []any{serve.Canary, c.status, 1, int64(2), 1.0, int64(2)}, []any{ps[0].Variant, ps[0].Status, ps[0].Attempt, ps[0].Version, ps[0].Propensity, ps[0].RouteRev})
				require.Contains(t, ps[0].Error, c.want)
				require.LessOrEqual(t, len(ps[0].Error), 256)
				require.Equal(t, frame.FloatValue(1), ps[0].Features.Get("x"))
				require.Equal(t, []any{serve.Primary, frame.Fallback, 1, int64(1)}, []any{ps[1].Variant, ps[1].Status, ps[1].Attempt, ps[1].Version})
				require.Equal(t, frame.StringValue("one"), ps[1].Label())
				require.EqualValues(t, 1, s.Stats().Fallbacks)
				require.Equal(t, []string{fmt.Sprintf("churn canary a/0 %s 1 ", c.status), "churn primary a/0 fallback 1 one"}, w.lines())
				require.Equal(t, map[string]int64{fmt.Sprint("2 canary ", c.status): 1, "1 primary fallback": 1}, requests(s.Server))
			})
		})
	}
}

// requests returns the number of requests by version, variant and status.
func requests(s *serve.Server) map[string]int64 {
	out := map[string]int64{}
	for _, m := range s.Metrics() {
		for _, r := range m.Requests {
			out[fmt.Sprint(r.Version, " ", r.Variant, " ", r.Status)] += r.Latency.Count
		}
	}
	return out
}

// TestRefusedByBoth: what the primary refuses as well is the caller's fault.
func TestRefusedByBoth(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Refusing(servetest.Constant("one"), 1), nil)
	require.NoError(t, s.Add("churn", 2, servetest.Refusing(servetest.Constant("two"), 1)))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 1, Rev: 1}))
	_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "a", Inputs: servetest.X(1)})
	require.ErrorIs(t, err, serve.ErrInvalid)
	for i, p := range servetest.RequirePredictions(t, s, "churn", 2) {
		require.Equal(t, []any{frame.Refused, 1, []serve.Variant{serve.Canary, serve.Primary}[i]}, []any{p.Status, p.Attempt, p.Variant})
	}
	require.Zero(t, s.Stats().Fallbacks)

	// A request that no version can read leaves counters alone.
	_, err = s.Predict(t.Context(), "churn", serve.Request{ID: "b", Inputs: sumInputs()})
	require.ErrorIs(t, err, serve.ErrInvalid)
	servetest.RequirePredictions(t, s, "churn", 2)
	require.Equal(t, map[string]int64{"2 canary refused": 2, "1 primary refused": 2}, requests(s.Server))
}

// TestCanaryGetsHalfTheTime: the caller's deadline holds, with time left for the
// primary; without a deadline the canary has Options.Canary.Timeout.
func TestCanaryGetsHalfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		canary := servetest.Hang(servetest.Constant("two"))
		defer canary.Release()
		s := newCanaried(t, canary, &serve.Options{Canary: serve.CanaryOptions{MaxAbandoned: 10}})
		for _, c := range []struct{ deadline, want time.Duration }{{20 * time.Millisecond, 10 * time.Millisecond}, {0, time.Second}} {
			ctx, cancel := t.Context(), func() {}
			if c.deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
			}
			began := time.Now()
			resp, err := s.Predict(ctx, "churn", serve.Request{Inputs: servetest.X(1)})
			require.NoError(t, err)
			require.True(t, resp.Fallback)
			require.Equal(t, c.want, time.Since(began))
			cancel()
		}
		require.EqualValues(t, 2, s.Stats().Abandoned)

		// A caller who leaves is not answered, and the canary is to blame.
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := s.Predict(ctx, "churn", serve.Request{Inputs: servetest.X(1)})
		require.ErrorIs(t, err, context.Canceled)
		require.EqualValues(t, 3, requests(s.Server)["2 canary timed_out"])
	})
}

// TestHungCanaryIsWithdrawn: after a few calls that hang the canary gets no more
// keys, says so, stays off through changes of its share, and keeps neither
// requests nor Close waiting.
func TestHungCanaryIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := &counter{n: 1}
		canary := servetest.Hang(servetest.Constant("two"))
		s := newCanaried(t, closable{canary, open}, nil)
		_, _, ok := s.Withdrawn("churn")
		require.False(t, ok)
		for i := range 20 {
			resp, err := s.Predict(t.Context(), "churn", serve.Request{ID: fmt.Sprint(i), Inputs: servetest.X(1)})
			require.NoError(t, err)
			require.Equal(t, []string{"one"}, resp.Outputs[0].Data)
			require.Equal(t, i < 3, resp.Fallback, "request %d", i)
		}
		require.Equal(t, 3, canary.Calls())
		version, reason, ok := s.Withdrawn("churn")
		require.Equal(t, []any{int64(2), true}, []any{version, ok})
		require.Equal(t, "3 of its calls run on after their time was over", reason)
		require.EqualValues(t, 2, s.Metrics()[0].Withdrawn)
		md, err := s.Metadata("churn", 0)
		require.NoError(t, err)
		require.Equal(t, []int64{1}, md.Versions)
		_, err = s.Predict(t.Context(), "churn", serve.Request{Version: 2, Inputs: servetest.X(1)})
		require.ErrorIs(t, err, serve.ErrUnavailable)

		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 0.5, Rev: 2}))
		_, _, ok = s.Withdrawn("churn")
		require.True(t, ok, "another share changes nothing")
		require.NoError(t, s.Add("churn", 3, servetest.Constant("three")))
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 3, Share: 1, Rev: 3}))
		_, _, ok = s.Withdrawn("churn")
		require.False(t, ok)
		require.Equal(t, "three", ask(t, s.Server, "churn", "z"))

		began := time.Now()
		require.NoError(t, s.Close(t.Context()))
		require.Zero(t, time.Since(began))
		require.Equal(t, 1, open.add(0), "it is still in use")
		canary.Release()
		synctest.Wait()
		require.Zero(t, open.add(0), "closed by its last call")
		require.Zero(t, s.Stats().Abandoned)
	})
}

// TestNamedCanaryHasNoFallback: who asks for the canary by number gets its error.
func TestNamedCanaryHasNoFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCanaried(t, servetest.Slow(servetest.Constant("two"), time.Hour), nil)
		began := time.Now()
		_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "a", Version: 2, Inputs: servetest.X(1)})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, frame.TimedOut, servetest.RequirePredictions(t, s, "churn", 1)[0].Status)
	})
}

// TestAbandonedCallKeepsItsInputs: a call that is left behind does not see what
// the caller does with its tensors afterwards. Run it with the race detector.
func TestAbandonedCallKeepsItsInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servetest.Constant("two")
		got := make(chan float64, 1)
		s := newCanaried(t, servetest.Func{Sig: p.Signature(), F: func(ctx context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
			time.Sleep(time.Minute)
			got <- in[0].Data.([]float64)[0]
			return p.Predict(ctx, in)
		}}, nil)
		x := servetest.X(5)
		_, err := s.Predict(t.Context(), "churn", serve.Request{Inputs: x})
		require.NoError(t, err)
		x[0].Data.([]float64)[0], x[0].Shape[0] = 6, 0
		require.Equal(t, 5.0, <-got)
	})
}

// TestPrimaryFailuresAreLogged: an error, a time-out and a refusal each leave a
// row with its status.
func TestPrimaryFailuresAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := servetest.Constant("one")
		for _, c := range []struct {
			p    serve.Predictor
			want serve.Status
		}{{servetest.Failing(one, 1), frame.Failed}, {servetest.Panicking(one, 1), frame.Failed}, {servetest.Slow(one, time.Hour), frame.TimedOut}, {servetest.Refusing(one, 1), frame.Refused}} {
			s := servetest.New(t, "churn", c.p, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := s.Predict(ctx, "churn", serve.Request{ID: "a", Inputs: servetest.X(1)})
			cancel()
			require.Error(t, err)
			p := servetest.RequirePredictions(t, s, "churn", 1)[0]
			require.Equal(t, c.want, p.Status)
			require.NotEmpty(t, p.Error)
			require.Equal(t, map[string]int64{fmt.Sprint("1 primary ", c.want): 1}, requests(s.Server))
		}
	})
}

// TestLatencyHistogram: buckets are cumulative, bounds inclusive.
func TestLatencyHistogram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servetest.New(t, "churn", servetest.Slow(servetest.Constant("one"), 5*time.Millisecond), nil)
		_, err := s.Predict(t.Context(), "churn", serve.Request{Inputs: servetest.X(1, 2, 3)})
		require.NoError(t, err)
		r := s.Metrics()[0].Requests[0]
		require.EqualValues(t, 3, r.Rows)
		require.EqualValues(t, 1, r.Latency.Count)
		require.InDelta(t, 0.005, r.Latency.Sum, 1e-9)
		for i, bound := range serve.LatencyBounds() {
			require.Equal(t, bound >= 0.005, r.Latency.Buckets[i] == 1, "bound %v", bound)
		}
	})
}
