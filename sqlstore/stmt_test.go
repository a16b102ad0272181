package sqlstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
)

// A statement prepared by name on one of PgBouncer's connections is missed on the
// next: where the URL asks for it, none is.
func TestNothingIsPreparedForPgBouncer(t *testing.T) {
	url := pgtest.With(t, pgtest.With(t, pgtest.URL(t), "default_query_exec_mode", "exec"), "pool_max_conns", "1")
	db := sqltest.Reopen(t, url, nil)
	for range 5 {
		require.NoError(t, db.Tx(t.Context(), func(tx *sqlstore.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT 1 WHERE ? > 0", 1)
			return err
		}))
		_, err := db.Exec(t.Context(), "SELECT 2 WHERE ? > 0", 1)
		require.NoError(t, err)
	}
	var n int
	require.NoError(t, db.QueryRow(t.Context(), "SELECT COUNT(*) FROM pg_prepared_statements WHERE name <> ''").Scan(&n))
	require.Zero(t, n)
}
