package retrainsql_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// TestLeaseOfAClockThatWasSetBack: the database's clock is set back by an hour
// while somebody has the lease. When that one is dead, another has it after its
// time, and not an hour later.
func TestLeaseOfAClockThatWasSetBack(t *testing.T) {
	for _, dialect := range []string{"sqlite", "postgresql"} {
		t.Run(dialect, func(t *testing.T) {
			p := newPlace(t, dialect)
			ctx, s := t.Context(), p.open(t).Retrain
			const ttl = 200 * time.Millisecond
			first, err := s.AcquireLease(ctx, "churn", "a", ttl)
			require.NoError(t, err)
			db, err := sqlstore.Open(ctx, p.url, &sqlstore.Options{Prefix: p.opts.Prefix, Schema: p.opts.Schema})
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()
			_, err = db.Exec(ctx, `UPDATE {p}retrain_model SET lease_until = lease_until + 3600000`)
			require.NoError(t, err)

			held, err := s.AcquireLease(ctx, "churn", "b", ttl)
			require.ErrorIs(t, err, retrain.ErrConflict)
			require.WithinDuration(t, first.Until, held.Until, time.Minute)
			again, err := s.AcquireLease(ctx, "churn", "b", ttl)
			if err != nil { // else the machine was busy for a fifth of a second
				require.Equal(t, held.Until, again.Until, "asking makes it no longer")
			}
			require.Eventually(t, func() bool {
				lease, err := s.AcquireLease(ctx, "churn", "b", ttl)
				return err == nil && lease.Token == first.Token+1
			}, 20*time.Second, ttl/4)
		})
	}
}
