package driftmem_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftmem"
	"github.com/mlloop/mlloop/drift/drifttest"
)

func TestStore(t *testing.T) {
	drifttest.Run(t, func(*testing.T) drift.Store { return driftmem.New() })
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := driftmem.New()
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Save(t.Context(), drift.Checkpoint{Model: "m", Rev: 1}, nil), drift.ErrClosed)
	_, err := s.Checkpoint(t.Context(), "m")
	require.ErrorIs(t, err, drift.ErrClosed)
	_, err = s.Alerts(t.Context(), drift.AlertQuery{Model: "m", FiringOnly: true})
	require.ErrorIs(t, err, drift.ErrClosed)
}
