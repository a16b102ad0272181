package servemem_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

func TestStore(t *testing.T) {
	servetest.Run(t, func(*testing.T) serve.Store { return servemem.New() })
}

// TestTrimCostsWhatItDeletes: a large log is not built anew for a few records.
func TestTrimCostsWhatItDeletes(t *testing.T) {
	s := servemem.New()
	const n = 20_000
	ps := make([]serve.Prediction, n)
	for i := range ps {
		ps[i] = serve.Prediction{
			ID: fmt.Sprint("row-", i), Model: "m", Variant: serve.Primary, Status: frame.Answered,
			Time: time.UnixMilli(int64((i * 7919) % n)), // in no order
		}
	}
	require.NoError(t, s.AppendPredictions(t.Context(), ps))
	trimmed := int64(0)
	allocs := testing.AllocsPerRun(100, func() {
		k, err := s.Trim(t.Context(), serve.Trim{Model: "m", Before: time.UnixMilli(n), Limit: 10})
		require.NoError(t, err)
		trimmed += k
	})
	require.EqualValues(t, 1010, trimmed)
	require.Less(t, allocs, 200.0)
	counts, err := s.Counts(t.Context(), "m")
	require.NoError(t, err)
	require.Equal(t, []int64{n - 1010, 1010}, []int64{counts.Predictions, counts.Oldest.UnixMilli()})

	k, err := s.Trim(t.Context(), serve.Trim{Model: "m", Before: time.UnixMilli(n), Limit: n})
	require.NoError(t, err)
	require.EqualValues(t, n-1010, k)
	counts, err = s.Counts(t.Context(), "m")
	require.NoError(t, err)
	require.Zero(t, counts)
}
