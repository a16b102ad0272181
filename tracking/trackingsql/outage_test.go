package trackingsql_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// While another program holds the file, Flush and Close come back when their
// context ends, and say what is lost until it is not.
func TestCloseWhileTheDatabaseIsLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	s := open(t, "sqlite:"+path)
	c := tracking.New(s, &tracking.Options{FlushInterval: time.Millisecond})
	run, err := c.Start(t.Context(), "e", nil)
	require.NoError(t, err)
	other, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	other.SetMaxOpenConns(1)
	_, err = other.Exec("BEGIN IMMEDIATE")
	require.NoError(t, err)

	run.LogMetric("m", 1, 1)
	for _, call := range []func(context.Context) error{run.Flush, c.Close, c.Close} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		require.ErrorIs(t, call(ctx), context.DeadlineExceeded)
		require.Less(t, time.Since(began), 5*time.Second, "the busy timeout is longer")
		cancel()
	}
	_, err = other.Exec("ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.NoError(t, c.Close(t.Context()))
	points, err := s.MetricHistory(t.Context(), run.ID(), "m")
	require.NoError(t, err)
	require.Len(t, points, 1)
	require.NoError(t, s.Close())
}

// A server that falls loses nothing that was acknowledged; callers are told, and
// go on by themselves when it is back.
func TestPostgreSQLGoesAway(t *testing.T) {
	server := pgtest.StartServer(t)
	db := sqltest.Reopen(t, server.URL, nil)
	s := trackingsql.New(db)
	require.NoError(t, s.Migrate(t.Context()))
	c := tracking.New(s, &tracking.Options{FlushInterval: 10 * time.Millisecond})
	run, err := c.Start(t.Context(), "e", nil)
	require.NoError(t, err)
	const points = 500
	for i := range int64(points) {
		if i == points/2 {
			require.NoError(t, run.Flush(t.Context()))
			server.Stop()
			_, err := c.Run(t.Context(), run.ID())
			require.ErrorIs(t, err, tracking.ErrUnavailable)
			_, err = c.Start(t.Context(), "e", nil)
			require.ErrorIs(t, err, tracking.ErrUnavailable)
		}
		run.LogMetric("m", float64(i), i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Error(t, run.Finish(ctx))
	server.Start()
	require.NoError(t, run.Finish(t.Context()))
	require.Zero(t, run.Dropped())
	got, err := c.Metrics(t.Context(), run.ID(), "m")
	require.NoError(t, err)
	require.Len(t, got, points)
	r, err := c.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, tracking.Finished, r.Status)
	require.NoError(t, c.Close(t.Context()))
}
