package sqlstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
)

func TestOpenTakesThePathAsItStands(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.db", "with space.db", "per%20cent.db", "ha#sh.db", "q&a=1+2.db", "co:lon.db", "ümlaut.db"} {
		db := sqltest.Reopen(t, "sqlite:"+filepath.Join(dir, name), nil)
		require.NoError(t, db.Migrate(t.Context(), toys()), name)
		require.FileExists(t, filepath.Join(dir, name))
	}
}

func TestOpenRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("sub dir", 0o755))
	for _, path := range []string{"runs.db", "./a:b.db", "sub dir/x%.db", "sub dir/../up.db"} {
		db := sqltest.Reopen(t, "sqlite:"+path, nil)
		require.NoError(t, db.Migrate(t.Context(), toys()), path)
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
		db := sqltest.Reopen(t, url, nil)
		for pragma, want := range map[string]any{"journal_mode": "wal", "synchronous": int64(synchronous), "foreign_keys": int64(1)} {
			var got any
			require.NoError(t, db.QueryRow(t.Context(), "PRAGMA "+pragma).Scan(&got))
			require.Equal(t, want, got, url+" "+pragma)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("no database ", 100)), 0o644))
	for _, test := range []struct {
		url  string
		opts sqlstore.Options
		kind error
		text string
	}{
		{"mysql://localhost/x", sqlstore.Options{}, fault.Unsupported, "use sqlite:PATH or postgres://"},
		{"runs.db", sqlstore.Options{}, fault.Unsupported, "use sqlite:PATH"},
		{"sqlite:", sqlstore.Options{}, fault.Unsupported, "names no file"},
		{"sqlite:?synchronous=full", sqlstore.Options{}, fault.Unsupported, "names no file"},
		{"sqlite::memory:", sqlstore.Options{}, fault.Unsupported, "in-memory store"},
		{"sqlite:" + dir + "/no/such/x.db", sqlstore.Options{}, fault.Unavailable, "create it first"},
		{"sqlite:" + garbage + "/x.db", sqlstore.Options{}, fault.Unavailable, "create it first"},
		{"sqlite:" + dir, sqlstore.Options{}, fault.Unavailable, "check its folder"},
		{"sqlite:" + garbage, sqlstore.Options{}, fault.Corrupt, "no SQLite file"},
		{"sqlite:" + dir + "/x.db?synchronous=off", sqlstore.Options{}, fault.Invalid, "synchronous=full,"},
		{"sqlite:" + dir + "/x.db?cache=shared", sqlstore.Options{}, fault.Invalid, "option cache=shared"},
		{"sqlite:" + dir + "/x.db?%zz", sqlstore.Options{}, fault.Invalid, "options"},
		{"sqlite:" + dir + "/none.db?mode=ro", sqlstore.Options{}, fault.Unavailable, "check its folder"},
		{"sqlite:" + dir + "/x.db", sqlstore.Options{Prefix: "No"}, fault.Invalid, "table prefix"},
		{"sqlite:" + dir + "/x.db", sqlstore.Options{Schema: "ml"}, fault.Invalid, "SQLite has no schemas"},
		{"postgres://u@h/d", sqlstore.Options{Schema: `a"b`}, fault.Invalid, "schema"},
		{"postgres://u@h/d?pool_max_conns=0", sqlstore.Options{}, fault.Invalid, "pool_max_conns"},
		{"postgres://u:geh%eim@h/d", sqlstore.Options{}, fault.Invalid, "special characters as %XX"},
		{"postgres://u:geheim@h:port/d", sqlstore.Options{}, fault.Invalid, "URL"},
		{"postgres://u:geheim@h/d?sslmode=sometimes", sqlstore.Options{}, fault.Invalid, "sslmode"},
		{"postgres://u:geheim@127.0.0.1:1/d", sqlstore.Options{}, fault.Unavailable, "cannot be reached"},
		{"host=127.0.0.1 port=1 password=geheim", sqlstore.Options{}, fault.Unsupported, "use sqlite:PATH or postgres://"},
		{"postgres:host=127.0.0.1 port=1 password=geheim", sqlstore.Options{}, fault.Invalid, "want postgres://USER"},
		{"postgres://u@127.0.0.1:1/d?sslmode=disable&sslpassword=geheim", sqlstore.Options{}, fault.Unavailable, "cannot be reached"},
		{"postgres://h:1/d?user=u&password=geheim&host=127.0.0.1", sqlstore.Options{}, fault.Unavailable, "cannot be reached"},
	} {
		_, err := sqlstore.Open(t.Context(), test.url, &test.opts)
		require.ErrorIs(t, err, test.kind, test.url)
		require.ErrorContains(t, err, test.text, test.url)
		require.NotContains(t, err.Error(), "geheim", "no password in an error")
	}
}

func TestRedacted(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:a?b":                          "sqlite:a?b",
		"postgres://u:p@h/d":                  "postgres://u:xxxxx@h/d",
		"postgres://h/d?password=p&user=u":    "postgres://h/d?password=xxxxx&user=u",
		"postgres://u:p%q@h/d":                "postgres:…",
		"postgres://h/d?sslpassword=p":        "postgres://h/d?sslpassword=xxxxx",
		"postgres:host=h password=p":          "postgres:…",
		"host=h password=p":                   "…",
		"host=h password=p:q":                 "…",
		"Postgres://u:p@h/d":                  "postgres://u:xxxxx@h/d",
		"mysql://u:p@h/d":                     "mysql://u:xxxxx@h/d",
		"postgresql://u@h/d?sslmode=disable":  "postgresql://u@h/d?sslmode=disable",
		"postgres://u:p@h/d?password=q&a=b%2": "postgres://u:xxxxx@h/d?password=xxxxx",
	} {
		require.Equal(t, want, sqlstore.Redacted(url))
	}
}

func TestOpenPostgres(t *testing.T) {
	url := pgtest.URL(t)
	_, err := sqlstore.Open(t.Context(), pgtest.With(t, url, "dbname", "no_such_database"), nil)
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "create it first")
	db := sqltest.Reopen(t, pgtest.With(t, url, "pool_max_conns", "3"), nil)
	require.Equal(t, 3, db.Pool().Stats().MaxOpenConnections)
	// What else the URL says stays as it is.
	url = pgtest.With(t, pgtest.With(t, url, "options", "-c statement_timeout=1234"), "application_name", "a+b")
	db = sqltest.Reopen(t, pgtest.With(t, url, "pool_max_conns", "3"), nil)
	var timeout, name string
	require.NoError(t, db.QueryRow(t.Context(), `SELECT current_setting('statement_timeout'), current_setting('application_name')`).Scan(&timeout, &name))
	require.Equal(t, []string{"1234ms", "a+b"}, []string{timeout, name})
	require.Equal(t, sqlstore.PostgreSQL, db.Dialect())
}

func TestPath(t *testing.T) {
	path, err := sqlstore.Path("sqlite:a/../b c.db?synchronous=full")
	require.NoError(t, err)
	require.Equal(t, "b c.db", path)
}

func FuzzOpenURL(f *testing.F) {
	f.Add("sqlite:x.db")
	f.Add("sqlite:a b#%?synchronous=normal")
	f.Add("postgres://u:p@h:5/d?sslmode=disable")
	f.Fuzz(func(t *testing.T, url string) {
		path, err := sqlstore.Path(url)
		if err == nil && path == "" {
			t.Errorf("Path(%q) is empty", url)
		}
		if err != nil && fault.Kind(err) == nil {
			t.Errorf("Path(%q): %v has no kind", url, err)
		}
		rest, found := strings.CutPrefix(url, "postgres://u:s3cr3t@")
		if found && !strings.Contains(rest, "s3cr3t") && strings.Contains(sqlstore.Redacted(url), "s3cr3t") {
			t.Errorf("Redacted(%q) holds the password", url)
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
			db, err := sqlstore.Open(context.Background(), url, nil)
			if err == nil {
				err = errors.Join(db.Migrate(context.Background(), toys()), db.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := sqltest.Reopen(t, "sqlite:"+path, nil)
	require.NoError(t, db.Migrate(t.Context(), toys()))
	require.NoError(t, next(t.Context(), db, "a"))
	read := sqltest.Reopen(t, "sqlite:"+path+"?mode=ro", nil)
	require.NoError(t, read.Migrate(t.Context(), toys()), "nothing to be done")
	rows, _ := count(t, read)
	require.Equal(t, 1, rows)
	err := next(t.Context(), read, "b")
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "can only be read")
}

// A file whose folder and self cannot be written, as on a medium that is mounted
// to be read.
func TestReadOnlyMedium(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everything")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	db, err := sqlstore.Open(t.Context(), "sqlite:"+path, nil)
	require.NoError(t, err)
	require.NoError(t, db.Migrate(t.Context(), toys()))
	require.NoError(t, db.Close())
	require.NoError(t, os.Chmod(path, 0o444))
	require.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o755)) })
	read := sqltest.Reopen(t, "sqlite:"+path, nil)
	require.NoError(t, read.Migrate(t.Context(), toys()))
	rows, _ := count(t, read)
	require.Zero(t, rows)
}
