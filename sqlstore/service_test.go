package sqlstore_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
)

// inService runs test inside a transaction of the service's own, on both.
func inService(t *testing.T, test func(t *testing.T, tx *sql.Tx, inside *sqlstore.DB)) {
	for name, open := range map[string]sqltest.Open{"sqlite": sqltest.SQLite, "postgresql": sqltest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			require.NoError(t, db.Migrate(t.Context(), toys()))
			tx, err := db.Pool().BeginTx(context.Background(), nil)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }()
			test(t, tx, db.WithTx(tx))
		})
	}
}

func TestServiceTransactionStatementsThatFail(t *testing.T) {
	inService(t, func(t *testing.T, tx *sql.Tx, inside *sqlstore.DB) {
		ctx := t.Context()
		_, err := inside.Exec(ctx, insertToy, "a", 1)
		require.NoError(t, err)
		_, err = inside.Exec(ctx, insertToy, "a", 1)
		require.ErrorIs(t, err, fault.AlreadyExists)
		_, err = inside.Query(ctx, `SELECT 1 FROM {p}toy_nothing`)
		require.ErrorIs(t, err, fault.Unavailable)
		err = inside.ReadTx(ctx, func(tx *sqlstore.Tx) error {
			_, err := tx.Query(ctx, `SELECT 1 FROM {p}toy_nothing`)
			return err
		})
		require.ErrorIs(t, err, fault.Unavailable)
		// A call that hides its failure does not leave the transaction failed.
		_ = inside.Tx(ctx, func(tx *sqlstore.Tx) error {
			_, _ = tx.Exec(ctx, insertToy, "a", 1)
			return nil
		})
		_, err = inside.Exec(ctx, insertToy, "b", 1)
		require.NoError(t, err)
		rows, _ := count(t, inside)
		require.Equal(t, 2, rows)
		require.NoError(t, tx.Commit())
	})
}

// A row that fails late ends the rows, not the transaction.
func TestServiceTransactionRowsThatFail(t *testing.T) {
	inService(t, func(t *testing.T, tx *sql.Tx, inside *sqlstore.DB) {
		if inside.Dialect() == sqlstore.SQLite {
			t.Skip("division by zero is NULL there")
		}
		for _, name := range []string{"a", "b"} {
			_, err := inside.Exec(t.Context(), insertToy, name, 1)
			require.NoError(t, err)
		}
		rows, err := inside.Query(t.Context(), `SELECT 1 / (1 - seq + (SELECT MIN(seq) FROM {p}toy_event)) FROM {p}toy_event ORDER BY seq`)
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.False(t, rows.Next())
		require.ErrorIs(t, rows.Err(), fault.Invalid)
		require.Error(t, rows.Close())
		require.NoError(t, next(t.Context(), inside, "c"))
		require.NoError(t, tx.Commit())
	})
}

// What the call reports is what is there, whenever its ctx ends.
func TestServiceTransactionCtxEnds(t *testing.T) {
	inService(t, func(t *testing.T, tx *sql.Tx, inside *sqlstore.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := inside.Tx(ctx, func(tx *sqlstore.Tx) error {
			_, err := tx.Exec(ctx, insertToy, "a", 1)
			cancel()
			return err
		})
		require.NoError(t, err)
		require.ErrorIs(t, next(ctx, inside, "b"), context.Canceled)
		_, err = inside.Query(ctx, sumToys)
		require.ErrorIs(t, err, context.Canceled)
		rows, _ := count(t, inside)
		require.Equal(t, 1, rows)
		require.NoError(t, tx.Commit())
	})
}

// On SQLite a write that is interrupted would take the service's own rows with it,
// and what the service does next would be committed by itself.
func TestServiceTransactionOutlivesAWrite(t *testing.T) {
	db := sqltest.SQLite(t)
	require.NoError(t, db.Migrate(t.Context(), toys()))
	tx, err := db.Pool().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	inside := db.WithTx(tx)
	require.NoError(t, next(t.Context(), inside, "the service's"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err = inside.Exec(ctx, `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000)
		INSERT INTO {p}toy_event (name, n) SELECT 'n' || x, x FROM c`)
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded, "the statement was meant to take longer")
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())
	rows, _ := count(t, db)
	require.Zero(t, rows)
}

// A transaction that the database has given up takes no more of the service's
// statements, which would be committed one by one.
func TestServiceTransactionThatIsLost(t *testing.T) {
	db := sqltest.SQLite(t)
	require.NoError(t, db.Migrate(t.Context(), toys()))
	tx, err := db.Pool().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	inside := db.WithTx(tx)
	require.NoError(t, next(t.Context(), inside, "a"))
	_, err = inside.Exec(t.Context(), `INSERT OR ROLLBACK INTO {p}toy_event (name, n) VALUES (?, ?)`, "a", 1)
	require.ErrorIs(t, err, fault.AlreadyExists)
	require.ErrorIs(t, next(t.Context(), inside, "b"), fault.Closed)
	require.ErrorIs(t, tx.Commit(), sql.ErrTxDone)
	rows, _ := count(t, db)
	require.Zero(t, rows)
}

// Rows inside the service's transaction end with ctx on SQLite too.
func TestServiceTransactionRowsEnd(t *testing.T) {
	db := sqltest.SQLite(t)
	require.NoError(t, db.Migrate(t.Context(), toys()))
	tx, err := db.Pool().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	inside := db.WithTx(tx)
	require.NoError(t, next(t.Context(), inside, "a"))
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := inside.Query(ctx, `SELECT name FROM {p}toy_event`)
	require.NoError(t, err)
	cancel()
	require.False(t, rows.Next())
	require.ErrorIs(t, rows.Err(), context.Canceled)
	require.NoError(t, rows.Close())
}

func TestServiceTransactionThatFailedBefore(t *testing.T) {
	db := sqltest.PostgreSQL(t)
	require.NoError(t, db.Migrate(t.Context(), toys()))
	tx, err := db.Pool().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), "SELECT 1 FROM nothing_at_all")
	require.Error(t, err)
	err = next(t.Context(), db.WithTx(tx), "a")
	require.ErrorIs(t, err, fault.Invalid)
	require.ErrorContains(t, err, "roll it back")
}
