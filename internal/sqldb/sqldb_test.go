package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
)

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, dialect, err := sqldb.Open(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, sqldb.SQLite, dialect)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestOpenTakesThePathAsItStands(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.db", "with space.db", "per%20cent.db", "ha#sh.db", "q&a=1+2.db", "co:lon.db", "ümlaut.db"} {
		db := open(t, "sqlite:"+filepath.Join(dir, name))
		_, err := db.Exec("CREATE TABLE t (a INTEGER)")
		require.NoError(t, err, name)
		require.FileExists(t, filepath.Join(dir, name))
	}
}

func TestOpenRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("sub dir", 0o755))
	for _, path := range []string{"runs.db", "./a:b.db", "sub dir/x%.db", "sub dir/../up.db"} {
		db := open(t, "sqlite:"+path)
		_, err := db.Exec("CREATE TABLE t (a INTEGER)")
		require.NoError(t, err, path)
		require.FileExists(t, filepath.Clean(path))
	}
}

func TestOpenSettings(t *testing.T) {
	dir := t.TempDir()
	for url, synchronous := range map[string]int{
		"sqlite:" + filepath.Join(dir, "a.db"):                         2,
		"sqlite:" + filepath.Join(dir, "b.db?synchronous=full"):        2,
		"sqlite:" + filepath.Join(dir, "c.db") + "?synchronous=NORMAL": 1,
	} {
		db := open(t, url)
		var journal string
		var level, keys int
		require.NoError(t, db.QueryRow("PRAGMA journal_mode").Scan(&journal))
		require.NoError(t, db.QueryRow("PRAGMA synchronous").Scan(&level))
		require.NoError(t, db.QueryRow("PRAGMA foreign_keys").Scan(&keys))
		require.Equal(t, "wal", journal, url)
		require.Equal(t, synchronous, level, url)
		require.Equal(t, 1, keys, url)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("no database ", 100)), 0o644))
	tests := []struct {
		url  string
		kind error
		text string
	}{
		{"postgres://localhost/x", fault.Unsupported, "use sqlite:PATH"},
		{"runs.db", fault.Unsupported, "use sqlite:PATH"},
		{"sqlite:", fault.Unsupported, "names no file"},
		{"sqlite:?synchronous=full", fault.Unsupported, "names no file"},
		{"sqlite::memory:", fault.Unsupported, "in-memory store"},
		{"sqlite:" + dir + "/no/such/x.db", fault.Unavailable, "create it first"},
		{"sqlite:" + garbage + "/x.db", fault.Unavailable, "create it first"},
		{"sqlite:" + dir, fault.Unavailable, "check its folder"},
		{"sqlite:" + garbage, fault.Corrupt, "no SQLite file"},
		{"sqlite:" + dir + "/x.db?synchronous=off", fault.Invalid, "synchronous=full or"},
		{"sqlite:" + dir + "/x.db?mode=ro", fault.Invalid, "option mode=ro"},
		{"sqlite:" + dir + "/x.db?%zz", fault.Invalid, "options"},
	}
	for _, test := range tests {
		_, _, err := sqldb.Open(t.Context(), test.url)
		require.ErrorIs(t, err, test.kind, test.url)
		require.ErrorContains(t, err, test.text, test.url)
	}
}

func TestPath(t *testing.T) {
	path, err := sqldb.Path("sqlite:a/../b c.db?synchronous=full")
	require.NoError(t, err)
	require.Equal(t, "b c.db", path)
}

func FuzzOpenURL(f *testing.F) {
	f.Add("sqlite:x.db")
	f.Add("sqlite:a b#%?synchronous=normal")
	f.Fuzz(func(t *testing.T, url string) {
		path, err := sqldb.Path(url)
		if err == nil && path == "" {
			t.Errorf("Path(%q) is empty", url)
		}
		if err != nil && fault.Kind(err) == nil {
			t.Errorf("Path(%q): %v has no kind", url, err)
		}
	})
}

// Many programs may start on one new file at once.
func TestOpenConcurrently(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			db, _, err := sqldb.Open(context.Background(), url)
			if err == nil {
				_, err = db.Exec("CREATE TABLE IF NOT EXISTS t (a INTEGER)")
				err = errors.Join(err, db.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestFault(t *testing.T) {
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	_, err := db.Exec(`CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER NOT NULL CHECK (n > 0));
		CREATE TABLE child (id INTEGER REFERENCES parent (id));
		INSERT INTO parent VALUES (1, 'a', 1)`)
	require.NoError(t, err)
	tests := []struct {
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
	}
	for _, test := range tests {
		_, err := db.Exec(test.query)
		require.Error(t, err, test.why)
		require.Equal(t, test.kind, fault.Kind(sqldb.Fault(err)), test.why)
	}

	require.NoError(t, sqldb.Fault(nil))
	require.ErrorIs(t, sqldb.Fault(sql.ErrNoRows), fault.NotFound)
	kinded := fault.Errorf(fault.Conflict, "mine")
	require.Equal(t, kinded, sqldb.Fault(kinded), "an error that has a kind keeps it")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = db.ExecContext(ctx, "SELECT 1")
	require.ErrorIs(t, sqldb.Fault(err), context.Canceled)
}

func TestFaultOfAFullDisk(t *testing.T) {
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	db.SetMaxOpenConns(1) // the limit is the connection's
	_, err := db.Exec("CREATE TABLE t (a BLOB); PRAGMA max_page_count = 4")
	require.NoError(t, err)
	err = sqldb.Tx(t.Context(), db, func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES (zeroblob(100000))")
		return err
	})
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "the disk is full: free some space")
	var n int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM t").Scan(&n))
	require.Zero(t, n)
}

func TestFaultOfALockedDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	a, b := open(t, "sqlite:"+path), open(t, "sqlite:"+path)
	b.SetMaxOpenConns(1)
	_, err := b.Exec("PRAGMA busy_timeout = 0")
	require.NoError(t, err)
	err = sqldb.Tx(t.Context(), a, func(*sql.Tx) error {
		return sqldb.Tx(t.Context(), b, func(*sql.Tx) error { return nil })
	})
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "locked by another writer")
}

func TestFaultOfAClosedDatabase(t *testing.T) {
	db, _, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	err = sqldb.Tx(t.Context(), db, func(*sql.Tx) error { return nil })
	require.ErrorIs(t, err, fault.Closed)
}

func TestTx(t *testing.T) {
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	db.SetMaxOpenConns(1) // a transaction left open would block what follows
	_, err := db.Exec("CREATE TABLE t (a INTEGER)")
	require.NoError(t, err)
	insert := func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES (1)")
		return err
	}
	count := func() (n int) {
		require.NoError(t, db.QueryRow("SELECT count(*) FROM t").Scan(&n))
		return n
	}

	require.NoError(t, sqldb.Tx(t.Context(), db, insert))
	require.Equal(t, 1, count(), "committed")

	boom := errors.New("boom")
	err = sqldb.Tx(t.Context(), db, func(tx *sql.Tx) error {
		require.NoError(t, insert(tx))
		return boom
	})
	require.ErrorIs(t, err, boom)
	require.Equal(t, 1, count(), "rolled back")

	require.Panics(t, func() {
		_ = sqldb.Tx(t.Context(), db, func(tx *sql.Tx) error {
			require.NoError(t, insert(tx))
			panic("caller's bug")
		})
	})
	require.Equal(t, 1, count(), "rolled back after a panic")
}

func TestReadTx(t *testing.T) {
	db := open(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	_, err := db.Exec("CREATE TABLE t (a INTEGER)")
	require.NoError(t, err)
	err = sqldb.ReadTx(t.Context(), db, func(read *sql.Tx) error {
		var n int
		require.NoError(t, read.QueryRow("SELECT count(*) FROM t").Scan(&n))
		_, err := db.Exec("INSERT INTO t VALUES (1)") // does not wait for the reader
		require.NoError(t, err)
		require.NoError(t, read.QueryRow("SELECT count(*) FROM t").Scan(&n))
		require.Zero(t, n, "one moment for all queries")
		return nil
	})
	require.NoError(t, err)
}
