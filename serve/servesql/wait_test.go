package servesql_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
)

// TestWaitForAnotherProcess: a route that another process changes is seen within
// the stated time: at once on PostgreSQL, within a second on SQLite. The bounds
// below leave room for a busy machine, but none for PostgreSQL's own polling.
func TestWaitForAnotherProcess(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		here, there := p.open(t), p.open(t)
		for rev := range int64(3) {
			got := make(chan serve.Route, 1)
			go func() {
				r, err := here.WaitRoute(t.Context(), "churn", rev)
				if err != nil {
					t.Error(err)
				}
				got <- r
			}()
			time.Sleep(50 * time.Millisecond) // the listener has connected, as a rule
			want := serve.Route{Model: "churn", Primary: rev + 1, Rev: rev + 1}
			began := time.Now()
			require.NoError(t, there.PutRoute(t.Context(), want))
			require.Equal(t, want, <-got)
			require.Less(t, time.Since(began), 4*time.Second)
		}
	})
}

// TestListenerLeavesNothingBehind: PostgreSQL is listened to while somebody
// waits, on one connection, and also beside a pool that has no connection left.
func TestListenerLeavesNothingBehind(t *testing.T) {
	url := pgtest.With(t, pgtest.With(t, pgtest.URL(t), "application_name", pgtest.Schema(t)), "pool_max_conns", "1")
	opts := &sqlstore.Options{Schema: pgtest.Schema(t)}
	s, err := servesql.Open(t.Context(), url, opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	other, err := sqlstore.Open(t.Context(), url, opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	listeners := func() (n int) {
		err := other.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE application_name = current_setting('application_name') AND query LIKE 'LISTEN%'`).Scan(&n)
		require.NoError(t, err)
		return n
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for range 5 {
		go func() {
			_, err := s.WaitRoute(ctx, "churn", 0)
			ended <- err
		}()
	}
	require.Eventually(t, func() bool { return listeners() == 1 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, s.AppendPredictions(t.Context(), day(0)), "the pool is free")
	cancel()
	for range 5 {
		require.ErrorIs(t, <-ended, context.Canceled)
	}
	require.Eventually(t, func() bool { return listeners() == 0 }, 10*time.Second, 10*time.Millisecond)
}

// TestCloseEndsWaiting: who waits for a route is told that the store was closed.
func TestCloseEndsWaiting(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		s := p.open(t)
		ended := make(chan error)
		go func() {
			_, err := s.WaitRoute(t.Context(), "churn", 0)
			ended <- err
		}()
		time.Sleep(20 * time.Millisecond)
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, serve.ErrClosed)
	})
}
