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

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

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

// pool is a service's own pool.
func pool(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "service.db")+
		"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(on)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_txlock=immediate")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestStore(t *testing.T) {
	trackingtest.Run(t, func(t *testing.T) tracking.Store { return open(t, file(t)) })
}

func TestStoreOnTheServicesPool(t *testing.T) {
	trackingtest.Run(t, func(t *testing.T) tracking.Store {
		s := trackingsql.New(pool(t), trackingsql.SQLite, &trackingsql.Options{Prefix: "ml_"})
		require.NoError(t, s.Migrate(t.Context()))
		return s
	})
}

func TestNewLeavesThePoolToTheService(t *testing.T) {
	db := pool(t)
	_, err := db.Exec("CREATE TABLE customers (id INTEGER)")
	require.NoError(t, err)
	a := trackingsql.New(db, trackingsql.SQLite, nil)
	b := trackingsql.New(db, trackingsql.SQLite, &trackingsql.Options{Prefix: "other_"})

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
	require.ErrorContains(t, err, "version 2 of the tracking tables, this program knows 1: run the newer mlloop")

	_, err = trackingsql.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "no", "runs.db"), nil)
	require.ErrorIs(t, err, tracking.ErrUnavailable)
	require.ErrorContains(t, err, "trackingsql: open ")
	_, err = trackingsql.Open(t.Context(), "mysql://x", nil)
	require.ErrorIs(t, err, tracking.ErrUnsupported)
	_, err = trackingsql.Open(t.Context(), file(t), &trackingsql.Options{Prefix: "Bad"})
	require.ErrorIs(t, err, tracking.ErrInvalid)
	require.NoError(t, os.WriteFile(path, []byte("truncated"), 0o644))
	_, err = trackingsql.Open(t.Context(), url, nil)
	require.ErrorIs(t, err, tracking.ErrCorrupt)

	err = trackingsql.New(pool(t), "oracle", nil).Migrate(t.Context())
	require.ErrorIs(t, err, tracking.ErrUnsupported)
}

func TestMigrationsByHand(t *testing.T) {
	steps, err := trackingsql.Migrations(&trackingsql.Options{Prefix: "ml_"})
	require.NoError(t, err)
	db := pool(t)
	for _, step := range steps {
		_, err = db.Exec("BEGIN;" + step.SQL + "COMMIT;")
		require.NoError(t, err)
	}
	s := trackingsql.New(db, trackingsql.SQLite, &trackingsql.Options{Prefix: "ml_"})
	require.NoError(t, s.Migrate(t.Context()), "nothing is left to do")
	require.NoError(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: "1", Name: "churn"}))

	_, err = trackingsql.Migrations(&trackingsql.Options{Prefix: "x; DROP TABLE y"})
	require.ErrorIs(t, err, tracking.ErrInvalid)
}

func TestOpenConcurrently(t *testing.T) {
	url := file(t)
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			s, err := trackingsql.Open(context.Background(), url, nil)
			if err == nil {
				err = errors.Join(s.CreateExperiment(context.Background(), tracking.Experiment{ID: string(rune('a' + i)), Name: string(rune('a' + i))}), s.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	s := open(t, url)
	es, err := s.Experiments(t.Context())
	require.NoError(t, err)
	require.Len(t, es, len(errs))
	require.NoError(t, s.Close())
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
	s := trackingsql.New(db, trackingsql.SQLite, nil)
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
