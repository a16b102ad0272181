package retraindbos_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/retraindbos"
)

// A process dies in the middle of a Cancel: the workflow is not gone on with, by
// nobody who takes it up, and ends as cancelled.
func TestHalfCancelled(t *testing.T) { each(t, testHalfCancelled) }

func testHalfCancelled(t *testing.T, dir string) {
	first, second := openEngine(t, dir, &retraindbos.Options{}), openEngine(t, dir, &shortLease)
	began := make(chan struct{}, 1)
	require.NoError(t, first.Register("w", blocking("first", began, nil)))
	require.NoError(t, first.Launch(t.Context()))
	require.NoError(t, first.Start(t.Context(), "w", "a/1", nil))
	<-began
	require.NoError(t, first.HalfCancel("a/1"))
	again := make(chan struct{}, 1)
	require.NoError(t, second.Register("w", blocking("second", again, nil)))
	require.NoError(t, second.Launch(t.Context()))
	r, err := second.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.ErrorIs(t, r.Err, fault.Unavailable)
	require.ErrorContains(t, r.Err, "cancelled")
	require.Empty(t, again)
}
