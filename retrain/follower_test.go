package retrain_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
)

// TestFollower starts a process that only serves before there is anything to
// serve, and lets the loop of another one make a champion, and the next.
func TestFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 0, nil)
		defer f.close()
		stores := retrain.Stores{Registry: f.stores.Registry, Artifacts: f.stores.Artifacts, Serve: f.stores.Serve, Retrain: f.stores.Retrain}
		follower, err := retrain.Follow("churn", &stores, &retrain.FollowOptions{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- follower.Run(ctx) }()
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusServiceUnavailable, readiness(follower.Handler()))
		s, err := follower.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, retrain.FollowerStatus{Model: "churn"}, s)

		leader := f.start()
		f.untilChampion(1)
		time.Sleep(6 * time.Hour)
		require.Equal(t, http.StatusOK, readiness(follower.Handler()))
		ask := func(id string) int64 { return askServer(t, follower.Server(), id) }
		require.EqualValues(t, 1, ask("a"))
		require.NoError(t, leader.Retrain(t.Context(), "a person asked"))
		f.untilChampion(2)
		time.Sleep(time.Second)
		require.EqualValues(t, 2, ask("b"))
		f.kill(leader)
		time.Sleep(time.Hour)
		require.EqualValues(t, 2, ask("c"), "nobody leads, and it serves on")
		s, err = follower.Status(t.Context())
		require.NoError(t, err)
		require.True(t, s.Serving)
		require.EqualValues(t, 2, s.Route.Primary)
		require.EqualValues(t, 1, s.Token)
		require.WithinDuration(t, time.Now().Add(-time.Hour), s.SteppedAt, 2*time.Minute)

		stop()
		require.NoError(t, <-ran)
		counts, err := f.stores.Serve.Counts(t.Context(), "churn")
		require.NoError(t, err)
		require.EqualValues(t, 3, counts.Predictions)
		require.NoError(t, follower.Close(t.Context()))
		require.ErrorIs(t, follower.Run(t.Context()), retrain.ErrClosed)
	})
}

func readiness(h http.Handler) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/health/ready", nil))
	return w.Code
}

// unwaited is a log that cannot be waited on.
type unwaited struct{ serve.Store }

func (unwaited) WaitRoute(context.Context, string, int64) (serve.Route, error) {
	return serve.UnimplementedStore{}.WaitRoute(context.Background(), "", 0)
}

// TestFollowerPolls follows a store that was made before routes could be waited for.
func TestFollowerPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1, nil)
		defer f.close()
		stores := *f.stores
		stores.Serve = unwaited{stores.Serve}
		follower, err := retrain.Follow("churn", &stores, &retrain.FollowOptions{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- follower.Run(ctx) }()
		f.untilChampion(1)
		time.Sleep(6 * time.Second)
		require.Equal(t, []string{"churn"}, follower.Server().Models())
		stop()
		require.NoError(t, <-ran)
		require.NoError(t, follower.Close(t.Context()))
	})
}

// TestFollowChecks names every problem at once.
func TestFollowChecks(t *testing.T) {
	_, err := retrain.Follow("no/name", &retrain.Stores{}, nil)
	require.ErrorIs(t, err, retrain.ErrInvalid)
	for _, part := range []string{`"no/name"`, "Stores.Artifacts", "Stores.Registry", "Stores.Serve", "Stores.Retrain"} {
		require.ErrorContains(t, err, part)
	}
	_, err = retrain.Follow("churn", nil, nil)
	require.ErrorIs(t, err, retrain.ErrInvalid)
}

// TestAllRetrainings reads more retrainings than a page has.
func TestAllRetrainings(t *testing.T) {
	w := newWorld(t, newStream(t, rowsADay, never), nil)
	const n = retrain.DefaultLimit + 3
	for i := range int64(n) {
		require.NoError(t, w.stores.Retrain.PutRetraining(t.Context(), retrain.Retraining{ID: fmt.Sprint("churn/", i), Model: "churn", Number: i, Rev: 1, Token: 1}))
	}
	next := int64(0)
	for r, err := range w.loop.AllRetrainings(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, next, r.Number)
		next++
	}
	require.EqualValues(t, n, next)
	latest, err := w.loop.Retrainings(t.Context())
	require.NoError(t, err)
	require.Len(t, latest, retrain.DefaultLimit)
	require.EqualValues(t, n-1, latest[len(latest)-1].Number)
	for range w.loop.AllRetrainings(t.Context()) {
		break // a reader that has seen enough
	}
}
