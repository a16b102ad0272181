// Package sqltest runs a store's tests on every kind of database that it must
// work on: SQLite and PostgreSQL, opened by URL, on a service's own pool, on a
// pool of one connection, inside a service's own transaction.
package sqltest

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the "pgx" driver
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/sqlstore"
)

// Open opens a fresh database, with its tables made.
type Open func(t *testing.T) *sqlstore.DB

// Each runs test on every kind of database; those of PostgreSQL are skipped
// where there is none.
func Each(t *testing.T, schema sqlstore.Schema, test func(t *testing.T, open Open)) {
	for _, kind := range []struct {
		name string
		open Open
	}{
		{"sqlite", SQLite},
		{"sqlite, the service's pool", func(t *testing.T) *sqlstore.DB { return servicePool(t, 0) }},
		{"sqlite, one connection", func(t *testing.T) *sqlstore.DB { return servicePool(t, 1) }},
		{"postgresql", PostgreSQL},
		{"postgresql, the service's pool", func(t *testing.T) *sqlstore.DB { return servicePostgres(t, 0) }},
		{"postgresql, one connection", func(t *testing.T) *sqlstore.DB { return servicePostgres(t, 1) }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name >= "postgresql" && kind.name < "q" {
				pgtest.URL(t)
			}
			test(t, migrated(schema, kind.open))
		})
	}
}

// EachTx is Each inside a service's own transaction, which is rolled back at the
// end. Such a store must not be used by several goroutines.
func EachTx(t *testing.T, schema sqlstore.Schema, test func(t *testing.T, open Open)) {
	for name, open := range map[string]Open{"sqlite": SQLite, "postgresql": PostgreSQL} {
		t.Run(name+", the service's transaction", func(t *testing.T) {
			if name == "postgresql" {
				pgtest.URL(t)
			}
			test(t, func(t *testing.T) *sqlstore.DB {
				db := migrated(schema, open)(t)
				tx, err := db.Pool().BeginTx(t.Context(), nil)
				require.NoError(t, err)
				t.Cleanup(func() { _ = tx.Rollback() })
				return db.WithTx(tx)
			})
		})
	}
}

func migrated(schema sqlstore.Schema, open Open) Open {
	return func(t *testing.T) *sqlstore.DB {
		t.Helper()
		db := open(t)
		require.NoError(t, db.Migrate(t.Context(), schema))
		return db
	}
}

// SQLite opens a fresh file by its URL, without tables.
func SQLite(t *testing.T) *sqlstore.DB {
	t.Helper()
	return Reopen(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db")+"?synchronous=normal", nil)
}

// PostgreSQL opens a fresh schema by the database's URL, without tables. It skips
// the test where there is no server.
func PostgreSQL(t *testing.T) *sqlstore.DB {
	t.Helper()
	return Reopen(t, pgtest.URL(t), &sqlstore.Options{Schema: pgtest.Schema(t)})
}

// Reopen opens the URL, and closes the database when the test ends.
func Reopen(t *testing.T, url string, opts *sqlstore.Options) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), url, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// ServiceURL is how a service opens its own SQLite file: as the documentation of
// the stores asks, which leaves transactions as they are by default.
func ServiceURL(path string) string {
	return "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(on)&_pragma=journal_mode(wal)"
}

func servicePool(t *testing.T, conns int) *sqlstore.DB {
	t.Helper()
	return onPool(t, "sqlite", ServiceURL(filepath.Join(t.TempDir(), "service.db")), conns, sqlstore.SQLite, nil)
}

func servicePostgres(t *testing.T, conns int) *sqlstore.DB {
	t.Helper()
	return onPool(t, "pgx", pgtest.URL(t), conns, sqlstore.PostgreSQL, &sqlstore.Options{Schema: pgtest.Schema(t)})
}

func onPool(t *testing.T, driver, source string, conns int, dialect sqlstore.Dialect, opts *sqlstore.Options) *sqlstore.DB {
	t.Helper()
	pool, err := sql.Open(driver, source)
	require.NoError(t, err)
	pool.SetMaxOpenConns(conns)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	db := sqlstore.New(pool, dialect, opts)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
