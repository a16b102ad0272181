package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
)

func toys(prefix string) sqlstore.Schema {
	return sqlstore.Schema{Domain: "toy", Options: &sqlstore.Options{Prefix: prefix}, Files: fstest.MapFS{
		"migration/001_toy.sql": {Data: []byte("CREATE TABLE {p}toy_event (name TEXT NOT NULL, time BIGINT);\n")},
	}}
}

func file(t *testing.T) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "toy.db") + "?synchronous=normal"
}

func open(t *testing.T, url string) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), url, toys(""))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

type event struct {
	name string
	at   time.Time
}

func scanEvent(row sqlstore.Scanner) (e event, err error) {
	err = row.Scan(&e.name, sqlstore.Millis(&e.at))
	return e, err
}

func insert(ctx context.Context, db *sqlstore.DB, events ...event) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		for _, e := range events {
			_, err := tx.ExecContext(ctx, db.SQL(`INSERT INTO {p}toy_event (name, time) VALUES (?, ?)`), e.name, sqlstore.NullMillis(e.at))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestRowsRoundTrip(t *testing.T) {
	db := open(t, file(t))
	query := db.SQL(`SELECT name, time FROM {p}toy_event`)
	all := func() (events []event) {
		require.NoError(t, db.ReadTx(t.Context(), func(tx *sql.Tx) (err error) {
			events, err = sqlstore.Select(t.Context(), tx, scanEvent, query)
			return err
		}))
		return events
	}
	require.Nil(t, all(), "no rows")
	want := []event{
		{"sooner", time.UnixMilli(1_700_000_000_123).UTC()}, {"before 1970", time.UnixMilli(-1).UTC()},
		{"1970", time.UnixMilli(0).UTC()}, {"never", time.Time{}},
	}
	require.NoError(t, insert(t.Context(), db, want...))
	require.Equal(t, want, all())

	_, err := db.Exec(db.SQL(`UPDATE {p}toy_event SET time = 'noon'`))
	require.NoError(t, err)
	_, err = sqlstore.Select(t.Context(), db, scanEvent, query)
	require.ErrorContains(t, err, "want a time in milliseconds, found string")
}

func TestEachStopsAtAnError(t *testing.T) {
	db := open(t, file(t))
	db.SetMaxOpenConns(1) // rows left open would block what follows
	require.NoError(t, insert(t.Context(), db, event{name: "a"}, event{name: "b"}))
	rows, err := db.Query(db.SQL(`SELECT name FROM {p}toy_event`))
	require.NoError(t, err)
	boom, seen := errors.New("boom"), 0
	require.ErrorIs(t, sqlstore.Each(rows, func(sqlstore.Scanner) error { seen++; return boom }), boom)
	require.Equal(t, 1, seen)
	require.NoError(t, db.Ping())
}

func TestPoolOfTheService(t *testing.T) {
	pool, dialect, err := sqldb.Open(t.Context(), file(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	a, b := sqlstore.New(pool, dialect, toys("")), sqlstore.New(pool, dialect, toys("b_"))
	require.NoError(t, a.Migrate(t.Context()))
	require.NoError(t, b.Migrate(t.Context()))
	require.Equal(t, "mlloop_toy b_toy", a.SQL("{p}toy ")+b.SQL("{p}toy"))
	require.NoError(t, insert(t.Context(), b, event{name: "b"}))
	var n int
	require.NoError(t, pool.QueryRow("SELECT count(*) FROM mlloop_toy_event").Scan(&n))
	require.Zero(t, n, "prefixes keep stores apart")
	require.NoError(t, a.Close())
	require.NoError(t, pool.Ping(), "Close leaves the service's pool open")
}

func TestOpenAgain(t *testing.T) {
	url := file(t)
	first := open(t, url)
	require.NoError(t, insert(t.Context(), first, event{name: "a"}))
	require.NoError(t, first.Close())
	require.ErrorIs(t, insert(t.Context(), first, event{name: "b"}), fault.Closed)
	_, err := sqlstore.Select(t.Context(), first, scanEvent, first.SQL(`SELECT name, time FROM {p}toy_event`))
	require.ErrorIs(t, err, fault.Closed)
	second := open(t, url)
	var n int
	require.NoError(t, second.QueryRow("SELECT count(*) FROM mlloop_toy_event").Scan(&n))
	require.Equal(t, 1, n)
}

func TestMigrations(t *testing.T) {
	steps, err := toys("").Migrations()
	require.NoError(t, err)
	require.Contains(t, steps[0].SQL, "CREATE TABLE mlloop_toy_event")
	_, err = toys("x").Migrations()
	require.ErrorIs(t, err, fault.Invalid)
	require.ErrorContains(t, err, `toysql: migrations: table prefix "x"`)
}

func TestErrorsSayWhereAndWhatToDo(t *testing.T) {
	url := file(t)
	newer := open(t, url)
	_, err := newer.Exec("INSERT INTO mlloop_migration VALUES ('toy', 2, '002_x.sql', '', 0)")
	require.NoError(t, err)
	err = newer.Migrate(t.Context())
	require.ErrorIs(t, err, fault.Unsupported)
	require.ErrorContains(t, err, "toysql: migrate: the database has version 2 of the toy tables, this program knows 1: run the newer mlloop")
	_, err = sqlstore.Open(t.Context(), url, toys(""))
	require.ErrorIs(t, err, fault.Unsupported)
	require.ErrorContains(t, err, "toysql: open "+url+": the database has version 2")

	_, err = sqlstore.Open(t.Context(), "mysql://x", toys(""))
	require.ErrorIs(t, err, fault.Unsupported)
	require.ErrorContains(t, err, `toysql: database scheme "mysql": use sqlite:PATH`)
	_, err = sqlstore.Open(t.Context(), file(t), toys("Bad"))
	require.ErrorIs(t, err, fault.Invalid)
	err = sqlstore.New(nil, "oracle", toys("")).Migrate(t.Context())
	require.ErrorIs(t, err, fault.Unsupported)
	require.EqualError(t, err, `toysql: migrate: dialect "oracle": use toysql.SQLite`)
}
