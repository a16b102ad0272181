package drift_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
)

// What serve calls an Observer.
var _ interface{ Observe(o frame.Observation) } = (*drift.Monitor)(nil)

func TestUnimplementedStoreSaysWhatToUse(t *testing.T) {
	var s drift.UnimplementedStore
	ctx := context.Background()
	_, checkpoint := s.Checkpoint(ctx, "m")
	_, alerts := s.Alerts(ctx, drift.AlertQuery{Model: "m"})
	for _, err := range []error{s.Save(ctx, drift.Checkpoint{}, nil), checkpoint, alerts} {
		require.ErrorIs(t, err, drift.ErrUnsupported)
		require.ErrorContains(t, err, "driftsql")
	}
	require.NoError(t, s.Close())
}
