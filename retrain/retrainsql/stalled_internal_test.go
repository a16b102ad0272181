package retrainsql

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// TestStalledInATransaction has a process stand still in the middle of a write,
// with the model's row locked: another leads soon after the lease is over, and the
// write does not land.
func TestStalledInATransaction(t *testing.T) {
	t.Parallel()
	db := sqltest.PostgreSQL(t)
	s := New(db)
	require.NoError(t, s.Migrate(t.Context()))
	first, err := s.AcquireLease(t.Context(), "churn", "a", time.Second)
	require.NoError(t, err)
	locked, awake, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	asleep := true
	go func() {
		written <- s.db.Tx(t.Context(), func(tx *sqlstore.Tx) error {
			lease, err := lock(t.Context(), tx, "churn")
			if err != nil {
				return err
			}
			if asleep {
				asleep = false
				close(locked)
				<-awake
			}
			if err := fence("state", "churn", place{}, place{1, first.Token}, lease); err != nil {
				return err
			}
			_, err = tx.Exec(t.Context(), `INSERT INTO {p}retrain_state (model, rev, token, data) VALUES ('churn', 1, 1, '')`)
			return err
		})
	}()
	<-locked
	began := time.Now()
	second, err := s.AcquireLease(t.Context(), "churn", "b", time.Minute)
	require.NoError(t, err)
	require.Less(t, time.Since(began), 12*time.Second)
	require.Equal(t, first.Token+1, second.Token)
	close(awake)
	require.ErrorIs(t, <-written, retrain.ErrConflict, "it is tried again, and fenced")
	_, err = s.State(t.Context(), "churn")
	require.ErrorIs(t, err, retrain.ErrNotFound)
}
