package retraindbos_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/sqlstore"
)

// The database of the engines of one folder: a file in it, or a schema of
// PostgreSQL, which the file "schema" there names.
const schemaFile = "schema"

// each runs the test on SQLite and, where there is one, on PostgreSQL.
func each(t *testing.T, test func(t *testing.T, dir string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, t.TempDir()) })
	t.Run("postgresql", func(t *testing.T) { test(t, postgres(t)) })
}

// postgres returns a folder whose engines are on a fresh schema.
func postgres(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, schemaFile), []byte(pgtest.Schema(t)), 0o600))
	return dir
}

// openAs opens the folder's database, and says how to run an engine on it.
func openAs(ctx context.Context, dir string, o *retraindbos.Options) (*sqlstore.DB, *retraindbos.Options, error) {
	options := retraindbos.Options{}
	if o != nil {
		options = *o
	}
	url := "sqlite:" + filepath.Join(dir, "engine.db") + "?synchronous=normal"
	if schema, err := os.ReadFile(filepath.Join(dir, schemaFile)); err == nil {
		url, options.Schema = os.Getenv(pgtest.Variable), string(schema)
	}
	db, err := sqlstore.Open(ctx, url, nil)
	return db, &options, err
}

// openEngine returns an engine on the database of the folder, which is closed
// with the test.
func openEngine(t *testing.T, dir string, o *retraindbos.Options) *retraindbos.Engine {
	t.Helper()
	db, o, err := openAs(t.Context(), dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	e := retraindbos.New(db, o)
	t.Cleanup(func() { _ = e.Close(soon(context.WithoutCancel(t.Context()), t)) })
	return e
}

func soon(ctx context.Context, t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestEngine(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		retraintest.RunEngine(t, func(t *testing.T) func() retrain.Engine {
			dir := t.TempDir()
			return func() retrain.Engine { return openEngine(t, dir, nil) }
		})
	})
	t.Run("sqlite, the service's pool of one connection", func(t *testing.T) {
		retraintest.RunEngine(t, func(t *testing.T) func() retrain.Engine {
			path := filepath.Join(t.TempDir(), "service.db")
			return func() retrain.Engine { return onServicePool(t, path, 1) }
		})
	})
	t.Run("postgresql", func(t *testing.T) {
		dir := postgres(t)
		retraintest.RunEngine(t, func(t *testing.T) func() retrain.Engine {
			empty(t, dir)
			return func() retrain.Engine { return openEngine(t, dir, nil) }
		})
	})
}

// onServicePool returns an engine on a service's own pool, whose transactions are
// as SQLite's are by default.
func onServicePool(t *testing.T, path string, conns int) *retraindbos.Engine {
	t.Helper()
	pool, err := sql.Open("sqlite", sqltest.ServiceURL(path))
	require.NoError(t, err)
	pool.SetMaxOpenConns(conns)
	t.Cleanup(func() { _ = pool.Close() })
	e := retraindbos.New(sqlstore.New(pool, sqlstore.SQLite, nil), nil)
	t.Cleanup(func() { _ = e.Close(soon(context.WithoutCancel(t.Context()), t)) })
	return e
}

// Two processes start many workflows at one time, on a service's own pools, or on
// as few connections as can be: none fails and none is lost.
func TestManyAtOnce(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "service.db")
		testManyAtOnce(t, onServicePool(t, path, 0), onServicePool(t, path, 0))
	})
	t.Run("postgresql", func(t *testing.T) {
		dir, few := postgres(t), retraindbos.Options{Connections: 1} // too few: 2
		testManyAtOnce(t, openEngine(t, dir, &few), openEngine(t, dir, &few))
	})
}

func testManyAtOnce(t *testing.T, engines ...*retraindbos.Engine) {
	var wg sync.WaitGroup
	for _, e := range engines {
		require.NoError(t, e.Register("four", fourSteps))
		wg.Go(func() { assert.NoError(t, e.Launch(t.Context())) })
	}
	wg.Wait()
	const n = 60
	for i := range n {
		wg.Go(func() {
			e, id := engines[i%2], fmt.Sprintf("a/%d", i/2) // each id in both
			if !assert.NoError(t, e.Start(soon(t.Context(), t), "four", id, []byte(id))) {
				return
			}
			r, err := e.Wait(soon(t.Context(), t), id)
			assert.NoError(t, err)
			assert.NoError(t, r.Err)
			assert.Equal(t, id, string(r.Output))
		})
	}
	wg.Wait()
	require.Len(t, listed(t, engines[0], retrain.ListQuery{}), n/2)
}

// empty deletes all workflows of the folder's schema: to make its tables anew
// would take most of the suite's time.
func empty(t *testing.T, dir string) {
	t.Helper()
	db, o, err := openAs(t.Context(), dir, nil)
	require.NoError(t, err)
	defer db.Close()
	tables, err := sqlstore.Select(t.Context(), db, func(s sqlstore.Scanner) (name string, err error) { return name, s.Scan(&name) },
		"SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name <> 'dbos_migrations'", o.Schema)
	require.NoError(t, err)
	for _, table := range tables {
		_, err := db.Exec(t.Context(), `TRUNCATE "`+o.Schema+`"."`+table+`" CASCADE`)
		require.NoError(t, err)
	}
}

func TestLaunchRejectsDialect(t *testing.T) {
	err := retraindbos.New(sqlstore.New(nil, "oracle", nil), nil).Launch(t.Context())
	require.ErrorIs(t, err, retrain.ErrUnsupported)
	require.ErrorContains(t, err, `dialect "oracle"`)

	pool, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	defer pool.Close()
	_, err = retraindbos.New(sqlstore.New(pool, sqlstore.SQLite, nil), nil).Migrations("")
	require.ErrorIs(t, err, retrain.ErrUnsupported)
	err = retraindbos.New(sqlstore.New(pool, sqlstore.PostgreSQL, nil), nil).Launch(t.Context())
	require.ErrorIs(t, err, retrain.ErrUnsupported)
	require.ErrorContains(t, err, "pgx", "PostgreSQL through another driver")
}

// Calls return with their context while another writer keeps the database locked.
func TestLockedDatabase(t *testing.T) {
	dir := t.TempDir()
	e := openEngine(t, dir, nil)
	began := make(chan struct{}, 1)
	require.NoError(t, e.Register("w", blocking("w", began, nil)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	<-began
	other, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(dir, "engine.db"), nil)
	require.NoError(t, err)
	defer other.Close()
	lock, err := other.Pool().Conn(t.Context())
	require.NoError(t, err)
	defer lock.Close()
	_, err = lock.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	require.ErrorIs(t, e.Start(ctx, "w", "a/2", nil), context.DeadlineExceeded)
	require.ErrorIs(t, e.Cancel(ctx, "a/1"), context.DeadlineExceeded)
	_, err = e.Wait(ctx, "a/1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 5*time.Second)
	_, err = lock.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
}

// blocking is a workflow of one step that says that it began, and gives text
// when it is released; it ends with its context.
func blocking(text string, began chan<- struct{}, release <-chan struct{}) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "block", func(ctx context.Context) ([]byte, error) {
			began <- struct{}{}
			select {
			case <-release:
				return []byte(text), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}, nil)
	}
}
