// Package drivers runs what every SQL store stands on through the SQLite drivers
// that mlloop itself does not link. It is a module of its own, so that mlloop's
// go.mod names neither. Both register under one name: each has its own package.
package drivers

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
)

func toys() sqlstore.Schema {
	return sqlstore.Schema{Domain: "toy", Files: fstest.MapFS{"migration/sqlite/001_toy.sql": {Data: []byte(`
CREATE TABLE {p}toy (name TEXT PRIMARY KEY NOT NULL, n BIGINT NOT NULL CHECK (n >= 0));
CREATE TABLE {p}part (toy TEXT NOT NULL REFERENCES {p}toy (name));`)}}}
}

// Driver is a driver of SQLite, and what stands behind a file's name in a
// service's own pool that is set up as the documentation of sqlstore asks.
type Driver struct {
	Driver  driver.Driver
	Options string
}

// opener opens pools on one file.
func (d Driver) opener(t *testing.T) func() *sqlstore.DB {
	path := filepath.Join(t.TempDir(), "service.db")
	return func() *sqlstore.DB {
		pool := sql.OpenDB(source{d.Driver, "file:" + path + d.Options})
		t.Cleanup(func() { require.NoError(t, pool.Close()) })
		db := sqlstore.New(pool, sqlstore.SQLite, nil)
		require.NoError(t, db.Migrate(t.Context(), toys()))
		return db
	}
}

// Run tests the driver.
func Run(t *testing.T, d Driver) {
	t.Run("transactions that read first", func(t *testing.T) { transactions(t, d.opener(t)) })
	t.Run("faults", func(t *testing.T) { faults(t, d.opener(t)()) })
}

// source opens connections of one driver: both register under one name.
type source struct {
	driver driver.Driver
	name   string
}

func (s source) Connect(context.Context) (driver.Conn, error) { return s.driver.Open(s.name) }
func (s source) Driver() driver.Driver                        { return s.driver }

func next(ctx context.Context, db *sqlstore.DB, name string) error {
	return db.Tx(ctx, func(tx *sqlstore.Tx) error {
		var most int
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(n), 0) FROM {p}toy`).Scan(&most); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO {p}toy (name, n) VALUES (?, ?)`, name, most+1)
		return err
	})
}

func transactions(t *testing.T, open func() *sqlstore.DB) {
	a, b := open(), open()
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for w := range errs {
		db := a
		if w%2 == 1 {
			db = b
		}
		wg.Go(func() {
			for i := range 20 {
				errs[w] = errors.Join(errs[w], next(t.Context(), db, fmt.Sprint(w, "/", i)))
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	var rows, most int
	require.NoError(t, a.QueryRow(t.Context(), `SELECT COUNT(*), MAX(n) FROM {p}toy`).Scan(&rows, &most))
	require.Equal(t, []int{200, 200}, []int{rows, most})
}

func faults(t *testing.T, db *sqlstore.DB) {
	ctx := t.Context()
	insert := func(name string, n int) error {
		_, err := db.Exec(ctx, `INSERT INTO {p}toy (name, n) VALUES (?, ?)`, name, n)
		return err
	}
	require.NoError(t, insert("a", 1))
	require.ErrorIs(t, insert("a", 1), fault.AlreadyExists)
	require.ErrorIs(t, insert("b", -1), fault.Invalid)
	_, err := db.Exec(ctx, `INSERT INTO {p}part (toy) VALUES ('nobody')`)
	require.ErrorIs(t, err, fault.NotFound)
	_, err = db.Exec(ctx, `INSERT INTO {p}nothing (toy) VALUES ('nobody')`)
	require.ErrorIs(t, err, fault.Unavailable)
	boom := errors.New("boom")
	require.Equal(t, boom, db.Tx(ctx, func(tx *sqlstore.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO {p}toy (name, n) VALUES ('c', 1)`)
		require.NoError(t, err)
		return boom
	}))
	gone, cancel := context.WithCancel(ctx)
	err = db.Tx(gone, func(tx *sqlstore.Tx) error {
		_, err := tx.Exec(gone, `INSERT INTO {p}toy (name, n) VALUES ('d', 1)`)
		require.NoError(t, err)
		cancel()
		_, err = tx.Exec(gone, `INSERT INTO {p}toy (name, n) VALUES ('e', 1)`)
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	var rows int
	require.NoError(t, db.ReadTx(ctx, func(tx *sqlstore.Tx) error { return tx.QueryRow(ctx, `SELECT COUNT(*) FROM {p}toy`).Scan(&rows) }))
	require.Equal(t, 1, rows)
}
