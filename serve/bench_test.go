package serve_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
)

// discard is a store that costs nothing: what is left is the request's own part of logging.
type discard struct{ serve.UnimplementedStore }

func (discard) AppendPredictions(context.Context, []serve.Prediction) error { return nil }

func (discard) Route(context.Context, string) (serve.Route, error) {
	return serve.Route{}, serve.ErrNotFound
}

func (discard) PutRoute(context.Context, serve.Route) error { return nil }

// newBenched returns a server whose primary does next to nothing.
func newBenched(b *testing.B, route serve.Route, challenger serve.Predictor) *serve.Server {
	b.Helper()
	s := serve.New(nil, &serve.Options{Log: discard{}})
	require.NoError(b, s.Add("m", 1, servetest.Constant("one")))
	if challenger != nil {
		require.NoError(b, s.Add("m", 2, challenger))
	}
	route.Model, route.Primary = "m", 1
	require.NoError(b, s.SetRoute(b.Context(), route))
	b.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// BenchmarkPredict is one logged row, answered by a primary alone, by a canary,
// and beside a shadow.
func BenchmarkPredict(b *testing.B) {
	for _, c := range []struct {
		name  string
		route serve.Route
	}{{"primary", serve.Route{}}, {"canary", serve.Route{Canary: 2, Share: 1}}, {"shadow", serve.Route{Shadow: 2}}} {
		b.Run(c.name, func(b *testing.B) {
			s := newBenched(b, c.route, servetest.Constant("two"))
			req := serve.Request{ID: "x", Inputs: servetest.X(1)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Predict(context.Background(), "m", req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHungShadow is the primary's latency beside a shadow that hangs.
// p99/alone and p50/alone are the ratios to the primary alone; both are asked
// in turn, so that they meet the same machine.
func BenchmarkHungShadow(b *testing.B) {
	hung := servetest.Hang(servetest.Constant("two"))
	b.Cleanup(hung.Release)
	alone, beside := newBenched(b, serve.Route{}, nil), newBenched(b, serve.Route{Shadow: 2}, hung)
	req := serve.Request{ID: "x", Inputs: servetest.X(1, 2, 3, 4)}
	one := func(s *serve.Server) time.Duration {
		began := time.Now()
		if _, err := s.Predict(context.Background(), "m", req); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	var without, with []time.Duration
	for b.Loop() {
		without, with = append(without, one(alone)), append(with, one(beside))
	}
	b.ReportMetric(ratio(with, without, 0.99), "p99/alone")
	b.ReportMetric(ratio(with, without, 0.5), "p50/alone")
}

func ratio(a, b []time.Duration, q float64) float64 {
	at := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[int(q*float64(len(d)-1))]
	}
	return float64(at(a)) / float64(at(b))
}
