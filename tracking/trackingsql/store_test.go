package trackingsql_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingsql"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

// file returns the URL of a database that does not exist yet. Its commits
// survive the process, not the machine, which is quicker.
func file(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "runs.db") + "?synchronous=normal"
}

func open(t testing.TB, url string) *trackingsql.Store {
	t.Helper()
	s, err := trackingsql.Open(context.Background(), url, nil)
	require.NoError(t, err)
	return s
}

// pool is a service's own pool, exactly as the documentation asks for it.
func pool(t *testing.T) *sql.DB {
	t.Helper()
	return poolOf(t, filepath.Join(t.TempDir(), "service.db"))
}

func poolOf(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", sqltest.ServiceURL(path))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestStore(t *testing.T) {
	sqltest.Each(t, trackingsql.Schema(), func(t *testing.T, open sqltest.Open) {
		trackingtest.Run(t, func(t *testing.T) tracking.Store { return trackingsql.New(open(t)) })
	})
}

func TestStoreInTheServicesTransaction(t *testing.T) {
	sqltest.EachTx(t, trackingsql.Schema(), func(t *testing.T, open sqltest.Open) {
		trackingtest.RunSequential(t, func(t *testing.T) tracking.Store { return trackingsql.New(open(t)) })
	})
}

// A server may grant two connections, one of which a reader holds.
func TestStoreOnTwoConnections(t *testing.T) {
	for name, open := range map[string]sqltest.Open{"sqlite": sqltest.SQLite, "postgresql": sqltest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			if name == "postgresql" {
				pgtest.URL(t) // skips
			}
			trackingtest.Run(t, func(t *testing.T) tracking.Store {
				db := open(t)
				db.Pool().SetMaxOpenConns(2)
				s := trackingsql.New(db)
				require.NoError(t, s.Migrate(t.Context()))
				return s
			})
		})
	}
}

// On a pool as documented no write fails because others write.
func TestManyWritersOnTheServicesPool(t *testing.T) {
	sqltest.Each(t, trackingsql.Schema(), func(t *testing.T, open sqltest.Open) {
		s := trackingsql.New(open(t))
		ctx := t.Context()
		require.NoError(t, s.CreateExperiment(ctx, tracking.Experiment{ID: "e", Name: "e"}))
		require.NoError(t, s.CreateRun(ctx, tracking.RunInfo{ID: "r", ExperimentID: "e", Status: tracking.Running}))
		const writers = 200
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				errs[i] = s.Log(ctx, "r", tracking.Batch{Metrics: []tracking.Metric{{Key: "m", Step: int64(i), Value: 1, Time: time.UnixMilli(1)}}})
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		points, err := s.MetricHistory(ctx, "r", "m")
		require.NoError(t, err)
		require.Len(t, points, writers)
	})
}

// Many programs may start on one new database at once.
func TestConcurrentFirstMigrates(t *testing.T) {
	for _, dialect := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.PostgreSQL} {
		t.Run(string(dialect), func(t *testing.T) {
			var connect func(t *testing.T) *sqlstore.DB
			if dialect == sqlstore.PostgreSQL {
				url, schema := pgtest.With(t, pgtest.URL(t), "pool_max_conns", "1"), pgtest.Schema(t)
				connect = func(t *testing.T) *sqlstore.DB {
					return sqltest.Reopen(t, url, &sqlstore.Options{Schema: schema})
				}
			} else {
				path := filepath.Join(t.TempDir(), "service.db")
				connect = func(t *testing.T) *sqlstore.DB { return sqlstore.New(poolOf(t, path), sqlstore.SQLite, nil) }
			}
			for range 2 { // the second time nothing is left to do
				migrateAtOnce(t, connect)
			}
		})
	}
}

func migrateAtOnce(t *testing.T, connect func(t *testing.T) *sqlstore.DB) {
	const programs = 60
	dbs, errs := make([]*sqlstore.DB, programs), make([]error, programs)
	for i := range dbs {
		dbs[i] = connect(t)
	}
	var wg sync.WaitGroup
	for i, db := range dbs {
		wg.Go(func() { errs[i] = trackingsql.New(db).Migrate(context.Background()) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

// A call that fails leaves nothing behind, and the service's transaction goes
// on; what it rolls back was never there.
func TestWithTx(t *testing.T) {
	sqltest.Each(t, trackingsql.Schema(), func(t *testing.T, open sqltest.Open) {
		db := open(t)
		s, ctx := trackingsql.New(db), t.Context()
		require.NoError(t, s.CreateExperiment(ctx, tracking.Experiment{ID: "e", Name: "e"}))
		for _, commit := range []bool{false, true} {
			tx, err := db.Pool().BeginTx(ctx, nil)
			require.NoError(t, err)
			in := s.WithTx(tx)
			require.NoError(t, in.CreateRun(ctx, tracking.RunInfo{ID: "r", ExperimentID: "e", Status: tracking.Running}))
			require.ErrorIs(t, in.CreateExperiment(ctx, tracking.Experiment{ID: "e", Name: "f"}), tracking.ErrAlreadyExists)
			require.ErrorIs(t, in.CreateRun(ctx, tracking.RunInfo{ID: "r", ExperimentID: "e"}), tracking.ErrAlreadyExists)
			require.ErrorIs(t, in.CreateRun(ctx, tracking.RunInfo{ID: "s", ExperimentID: "none"}), tracking.ErrNotFound)
			require.NoError(t, in.Log(ctx, "r", tracking.Batch{Params: map[string]string{"p": "1"}}))
			require.ErrorIs(t, in.Log(ctx, "r", tracking.Batch{Tags: map[string]string{"t": "1"}, Params: map[string]string{"p": "2"}}), tracking.ErrAlreadyExists)
			r, err := in.Run(ctx, "r")
			require.NoError(t, err)
			require.Equal(t, map[string]string{"p": "1"}, r.Params)
			require.Empty(t, r.Tags)
			require.NoError(t, in.Close())
			if commit {
				require.NoError(t, tx.Commit())
			} else {
				require.NoError(t, tx.Rollback())
			}
			_, err = s.Run(ctx, "r")
			if commit {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tracking.ErrNotFound)
			}
		}
	})
}

func TestNewLeavesThePoolToTheService(t *testing.T) {
	db := pool(t)
	_, err := db.Exec("CREATE TABLE customers (id INTEGER)")
	require.NoError(t, err)
	a := trackingsql.New(sqlstore.New(db, sqlstore.SQLite, nil))
	b := trackingsql.New(sqlstore.New(db, sqlstore.SQLite, &sqlstore.Options{Prefix: "other_"}))

	err = a.CreateExperiment(t.Context(), tracking.Experiment{ID: "1", Name: "churn"})
	require.ErrorIs(t, err, tracking.ErrUnavailable)
	require.ErrorContains(t, err, "call Migrate")

	require.NoError(t, a.Migrate(t.Context()))
	require.NoError(t, b.Migrate(t.Context()))
	require.NoError(t, a.CreateExperiment(t.Context(), tracking.Experiment{ID: "1", Name: "churn"}))
	require.NoError(t, b.CreateExperiment(t.Context(), tracking.Experiment{ID: "1", Name: "churn"}), "prefixes keep stores apart")
	require.NoError(t, a.Close())
	require.NoError(t, db.Ping())

	var names string
	require.NoError(t, db.QueryRow("SELECT group_concat(name, ' ') FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'mlloop\\_%' ESCAPE '\\' AND name NOT LIKE 'other\\_%' ESCAPE '\\'").Scan(&names))
	require.Equal(t, "customers", names, "every table has its prefix")
}

func TestOpenErrors(t *testing.T) {
	url := file(t)
	path := strings.TrimSuffix(strings.TrimPrefix(url, "sqlite:"), "?synchronous=normal")
	require.NoError(t, open(t, url).Close())

	newer, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = newer.Exec("INSERT INTO mlloop_migration VALUES ('tracking', 2, '002_x.sql', '', 0)")
	require.NoError(t, err)
	require.NoError(t, newer.Close())
	_, err = trackingsql.Open(t.Context(), url, nil)
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	require.ErrorContains(t, err, "trackingsql: open "+url)

	_, err = trackingsql.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "no", "runs.db"), nil)
	require.ErrorIs(t, err, tracking.ErrUnavailable)
	require.ErrorContains(t, err, "trackingsql: ")
	_, err = trackingsql.Open(t.Context(), "mysql://x", nil)
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	_, err = trackingsql.Open(t.Context(), file(t), &sqlstore.Options{Prefix: "Bad"})
	require.ErrorIs(t, err, tracking.ErrInvalid)
	require.NoError(t, os.WriteFile(path, []byte("truncated"), 0o644))
	_, err = trackingsql.Open(t.Context(), url, nil)
	require.ErrorIs(t, err, tracking.ErrCorrupt)

	err = trackingsql.New(sqlstore.New(pool(t), "oracle", nil)).Migrate(t.Context())
	require.Error(t, err)
}

// The printed steps, run by hand, leave Migrate nothing to do.
func TestMigrationsByHand(t *testing.T) {
	for _, dialect := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.PostgreSQL} {
		t.Run(string(dialect), func(t *testing.T) {
			opts := &sqlstore.Options{Prefix: "ml_"}
			db := pool(t)
			if dialect == sqlstore.PostgreSQL {
				opts.Schema = pgtest.Schema(t)
				db = sqltest.Reopen(t, pgtest.URL(t), opts).Pool()
				_, err := db.Exec("CREATE SCHEMA " + opts.Schema)
				require.NoError(t, err)
			}
			steps, err := trackingsql.Schema().Migrations(dialect, opts)
			require.NoError(t, err)
			for _, step := range steps {
				_, err = db.Exec("BEGIN;" + step.SQL + "COMMIT;")
				require.NoError(t, err)
			}
			s := trackingsql.New(sqlstore.New(db, dialect, opts))
			require.NoError(t, s.Migrate(t.Context()), "nothing is left to do")
			require.NoError(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: "1", Name: "churn"}))
		})
	}
}

func TestClosedStore(t *testing.T) {
	s := open(t, file(t))
	require.NoError(t, s.Close())
	_, err := s.Run(t.Context(), "r")
	require.ErrorIs(t, err, tracking.ErrClosed)
	require.ErrorIs(t, s.Log(t.Context(), "r", tracking.Batch{}), tracking.ErrClosed)
}

// With the disk full Finish says so and loses nothing; with space again it
// goes on.
func TestFullDisk(t *testing.T) {
	db := pool(t)
	db.SetMaxOpenConns(1) // the limit is the connection's
	s := trackingsql.New(sqlstore.New(db, sqlstore.SQLite, nil))
	require.NoError(t, s.Migrate(t.Context()))
	runs := tracking.New(s, nil)
	run, err := runs.Start(t.Context(), "churn", nil)
	require.NoError(t, err)

	var pages int
	require.NoError(t, db.QueryRow("PRAGMA page_count").Scan(&pages))
	limit := func(n int) {
		_, err := db.Exec("PRAGMA max_page_count = " + strconv.Itoa(n))
		require.NoError(t, err)
	}
	limit(pages)
	for i := range int64(3000) {
		run.LogMetric("loss", float64(i), i)
	}
	err = run.Finish(t.Context())
	require.ErrorIs(t, err, tracking.ErrUnavailable)
	require.ErrorContains(t, err, "the disk is full: free some space and try again")

	limit(1 << 20)
	require.NoError(t, run.Finish(t.Context()))
	points, err := runs.Metrics(t.Context(), run.ID(), "loss")
	require.NoError(t, err)
	require.Len(t, points, 3000)
	require.NoError(t, runs.Close(t.Context()))
}

// A page of many runs needs several queries for their data; all of it comes.
func TestManyRuns(t *testing.T) {
	s := open(t, file(t))
	require.NoError(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: "e", Name: "e"}))
	db := map[string]string{}
	for i := range 1100 {
		id := "r" + strconv.Itoa(i)
		require.NoError(t, s.CreateRun(t.Context(), tracking.RunInfo{ID: id, ExperimentID: "e", Status: tracking.Running}))
		require.NoError(t, s.Log(t.Context(), id, tracking.Batch{Params: map[string]string{"i": strconv.Itoa(i)}}))
		db[id] = strconv.Itoa(i)
	}
	runs, next, err := s.Runs(t.Context(), tracking.RunQuery{Limit: 1100})
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, runs, 1100)
	for _, r := range runs {
		require.Equal(t, db[r.ID], r.Params["i"])
	}
	runs, next, err = s.Runs(t.Context(), tracking.RunQuery{})
	require.NoError(t, err)
	require.NotEmpty(t, next)
	require.Len(t, runs, 1000)
	require.NoError(t, s.Close())
}
