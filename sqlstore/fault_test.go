package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
)

func TestFaultOfSQLite(t *testing.T) {
	db := sqltest.SQLite(t).Pool()
	_, err := db.Exec(`CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER NOT NULL CHECK (n > 0));
		CREATE TABLE child (id INTEGER REFERENCES parent (id));
		INSERT INTO parent VALUES (1, 'a', 1)`)
	require.NoError(t, err)
	for _, test := range []struct {
		why, query string
		kind       error
	}{
		{"a primary key twice", "INSERT INTO parent VALUES (1, 'b', 1)", fault.AlreadyExists},
		{"a unique value twice", "INSERT INTO parent VALUES (2, 'a', 1)", fault.AlreadyExists},
		{"a parent that is missing", "INSERT INTO child VALUES (7)", fault.NotFound},
		{"NULL in a NOT NULL column", "INSERT INTO parent VALUES (3, 'c', NULL)", fault.Invalid},
		{"a value against a CHECK", "INSERT INTO parent VALUES (3, 'c', -1)", fault.Invalid},
		{"a table that is missing", "INSERT INTO nobody VALUES (1)", fault.Unavailable},
		{"an error of SQL has no kind", "SELEKT", nil},
	} {
		_, err := db.Exec(test.query)
		require.Error(t, err, test.why)
		require.Equal(t, test.kind, fault.Kind(sqlstore.Fault(err)), test.why)
	}
	require.NoError(t, sqlstore.Fault(nil))
	require.ErrorIs(t, sqlstore.Fault(sql.ErrNoRows), fault.NotFound)
	kinded := fault.Errorf(fault.Conflict, "mine")
	require.Equal(t, kinded, sqlstore.Fault(kinded), "an error that has a kind keeps it")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = db.ExecContext(ctx, "SELECT 1")
	require.ErrorIs(t, sqlstore.Fault(err), context.Canceled)
}

// The errors of the other two drivers, as their packages declare them:
// mattn's Error is a struct with fields of integer types, ncruces' has methods.
type (
	mattnCode     int
	mattnExtended int
	mattnError    struct {
		Code         mattnCode
		ExtendedCode mattnExtended
		err          string
	}
	ncrucesExtended uint16
	ncrucesError    struct{ code ncrucesExtended }
)

func (e mattnError) Error() string                    { return e.err }
func (e *ncrucesError) Error() string                 { return fmt.Sprint("sqlite3: ", e.code) }
func (e *ncrucesError) ExtendedCode() ncrucesExtended { return e.code }

func TestFaultOfOtherDrivers(t *testing.T) {
	for code, kind := range map[int]error{5: fault.Unavailable, 13: fault.Unavailable, 517: fault.Unavailable, 787: fault.NotFound,
		1555: fault.AlreadyExists, 2067: fault.AlreadyExists, 1299: fault.Invalid, 11: fault.Corrupt} {
		for _, err := range []error{
			mattnError{mattnCode(code & 0xff), mattnExtended(code), "as mattn says"},
			&ncrucesError{ncrucesExtended(code)},
		} {
			require.ErrorIs(t, sqlstore.Fault(err), kind, "%T %d", err, code)
			require.ErrorIs(t, sqlstore.Fault(fmt.Errorf("wrapped: %w", err)), kind)
			require.ErrorIs(t, sqlstore.Fault(errors.Join(errors.New("and"), err)), kind)
		}
	}
	require.NoError(t, fault.Kind(sqlstore.Fault(errors.New("unknown"))))
}

func TestFaultOfPostgres(t *testing.T) {
	for code, kind := range map[string]error{
		"23505": fault.AlreadyExists, "23503": fault.NotFound, "23502": fault.Invalid, "23514": fault.Invalid, "22021": fault.Invalid, "54000": fault.Invalid, "25P02": fault.Invalid, "57014": fault.Unavailable,
		"40001": fault.Unavailable, "40P01": fault.Unavailable, "53300": fault.Unavailable, "53100": fault.Unavailable,
		"57P01": fault.Unavailable, "08006": fault.Unavailable, "42P01": fault.Unavailable, "3F000": fault.Unavailable,
		"25006": fault.Unavailable, "42501": fault.Denied, "28P01": fault.Denied, "XX001": fault.Corrupt, "P0001": fault.Invalid,
		"42601": nil,
	} {
		err := sqlstore.Fault(fmt.Errorf("run: %w", &pgconn.PgError{Code: code, Message: "says the server"}))
		require.Equal(t, kind, fault.Kind(err), code)
		require.ErrorContains(t, err, "says the server")
	}
}

func TestFaultOfAFullDisk(t *testing.T) {
	db := sqltest.SQLite(t)
	db.Pool().SetMaxOpenConns(1) // the limit is the connection's
	_, err := db.Pool().Exec("CREATE TABLE t (a BLOB); PRAGMA max_page_count = 4")
	require.NoError(t, err)
	err = db.Tx(t.Context(), func(tx *sqlstore.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (zeroblob(100000))")
		return err
	})
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "the disk is full: free some space")
	var n int
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n))
	require.Zero(t, n)
}

func TestFaultOfAClosedDatabase(t *testing.T) {
	db, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.ErrorIs(t, db.Tx(t.Context(), func(*sqlstore.Tx) error { return nil }), fault.Closed)
	require.ErrorIs(t, db.Migrate(t.Context(), toys()), fault.Closed)
}

func TestTxAfterAPanic(t *testing.T) {
	sqltest.Each(t, toys(), func(t *testing.T, open sqltest.Open) {
		db := open(t)
		require.Panics(t, func() {
			_ = db.Tx(t.Context(), func(tx *sqlstore.Tx) error {
				_, err := tx.Exec(t.Context(), insertToy, "a", 1)
				require.NoError(t, err)
				panic("caller's bug")
			})
		})
		rows, _ := count(t, db)
		require.Zero(t, rows)
		require.NoError(t, next(t.Context(), db, "b"), "and nothing stays locked")
	})
}

// A reader in the way of a COMMIT, outside of WAL, leaves no transaction open on
// the connection that goes back to the pool.
func TestCommitInTheWayOfAReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service.db")
	pool, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(delete)")
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()
	db := sqlstore.New(pool, sqlstore.SQLite, nil)
	require.NoError(t, db.Migrate(t.Context(), toys()))
	require.NoError(t, next(t.Context(), db, "a"))
	reader, err := pool.Conn(t.Context())
	require.NoError(t, err)
	_, err = reader.ExecContext(t.Context(), "BEGIN; SELECT COUNT(*) FROM mlloop_toy_event")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100e6)
	defer cancel()
	require.Error(t, next(ctx, db, "b"))
	_, err = reader.ExecContext(t.Context(), "COMMIT")
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	rows, _ := count(t, db)
	require.Equal(t, 1, rows)
	require.NoError(t, next(t.Context(), db, "b"))
}
