package serve_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
)

// TestHotSwap swaps versions 1,000 times under load: no request fails, every
// answer is wholly of one version, each version is closed after its last
// request and not before. Run it with the race detector.
func TestHotSwap(t *testing.T) {
	const swaps, clients, rows = 1000, 4, 3
	models := newFakeModels(1)
	s, open := newServer(t, models, &serve.Options{KeepWarm: -1}) // every swap loads and closes
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1}))
	ctx, stop := context.WithCancel(t.Context())
	var answered atomic.Int64
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				resp, err := s.Predict(context.Background(), "churn", serve.Request{Key: fmt.Sprint(c, i), Inputs: servetest.X(make([]float64, rows)...)})
				if err != nil {
					t.Error(err)
					return
				}
				want := fmt.Sprint("v", resp.Version)
				for _, got := range resp.Outputs[0].Data.([]string) {
					if got != want {
						t.Errorf("a row of %s in an answer of %s", got, want)
					}
				}
				answered.Add(1)
			}
		})
	}
	for i := range int64(swaps) {
		v := i%5 + 1
		r := serve.Route{Model: "churn", Primary: v, Canary: v%5 + 1, Share: 0.5, Shadow: (v+1)%5 + 1, Rev: i + 1}
		require.NoError(t, s.SetRoute(t.Context(), r))
	}
	stop()
	wg.Wait()
	require.NoError(t, s.Drain(context.Background())) // Close would leave a shadow's answer behind
	require.NoError(t, s.Close(context.Background()))
	require.Zero(t, open.add(0))
	t.Logf("%d requests were answered during %d swaps", answered.Load(), swaps)
	require.Positive(t, answered.Load())
}
