package serve_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
)

// routeStore is a store whose routes can be out of reach.
type routeStore struct {
	serve.Store
	away  atomic.Bool
	asked atomic.Int64
}

func (s *routeStore) check() error {
	if s.asked.Add(1); s.away.Load() {
		return fault.Errorf(fault.Unavailable, "the store is away")
	}
	return nil
}

func (s *routeStore) Route(ctx context.Context, model string) (serve.Route, error) {
	if err := s.check(); err != nil {
		return serve.Route{}, err
	}
	return s.Store.Route(ctx, model)
}

func (s *routeStore) WaitRoute(ctx context.Context, model string, rev int64) (serve.Route, error) {
	if err := s.check(); err != nil {
		return serve.Route{}, err
	}
	return s.Store.WaitRoute(ctx, model, rev)
}

// following starts Follow of a server over log and returns it, with what ends
// it. It runs in a synctest bubble.
func following(t *testing.T, models serve.Models, log serve.Store) (s *serve.Server, end func()) {
	s, _ = newServer(t, models, &serve.Options{Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Follow(ctx, "churn") }()
	return s, func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// put stores a route as the process that leads does, and lets followers see it.
func put(t *testing.T, log serve.Store, r serve.Route) {
	t.Helper()
	r.Model = "churn"
	require.NoError(t, log.PutRoute(t.Context(), r))
	synctest.Wait()
}

// TestFollow: a follower needs no Load: it waits for the first route, and takes
// every change without a moment's delay.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models, log := newFakeModels(1), servemem.New()
		s, end := following(t, models, log)
		synctest.Wait()
		require.ErrorIs(t, s.Ready(), serve.ErrUnavailable)
		began := time.Now()
		put(t, log, serve.Route{Primary: 1, Rev: 1})
		require.Equal(t, "v1", ask(t, s, "churn", "a"))
		put(t, log, serve.Route{Primary: 1, Canary: 2, Share: 1, Salt: "x", Rev: 2, Token: 7})
		require.Equal(t, "v2", ask(t, s, "churn", "b"))
		put(t, log, serve.Route{Primary: 3, Rev: 3, Token: 7})
		require.Equal(t, "v3", ask(t, s, "churn", "c"))
		require.Equal(t, began, time.Now())
		end()
		put(t, log, serve.Route{Primary: 1, Rev: 4, Token: 7})
		require.Equal(t, "v3", ask(t, s, "churn", "d"), "nobody follows any more")
	})
}

// TestFollowWhileTheStoreIsAway: the last good route stays, the store is not
// asked all the time, and the route is taken up soon after it is back.
func TestFollowWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models, log := newFakeModels(1), &routeStore{Store: servemem.New()}
		s, end := following(t, models, log)
		put(t, log, serve.Route{Primary: 1, Rev: 1})
		log.away.Store(true)
		put(t, log.Store, serve.Route{Primary: 2, Rev: 2})
		before := log.asked.Load()
		time.Sleep(time.Minute)
		require.Equal(t, "v1", ask(t, s, "churn", "a"))
		require.Less(t, log.asked.Load()-before, int64(30))
		log.away.Store(false)
		time.Sleep(5 * time.Second)
		require.Equal(t, "v2", ask(t, s, "churn", "b"))
		end()
	})
}

// TestFollowWhatCannotBeLoaded: a broken challenger is left out, a broken
// primary changes nothing; both are tried again, and a new route ends the wait.
func TestFollowWhatCannotBeLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models, log := newFakeModels(1), servemem.New()
		s, end := following(t, models, log)
		models.damage(2, true)
		put(t, log, serve.Route{Primary: 1, Canary: 2, Share: 1, Salt: "x", Rev: 1})
		require.Equal(t, "v1", ask(t, s, "churn", "a"), "the primary answers alone, also when it is new")
		time.Sleep(time.Minute)
		models.damage(2, false)
		time.Sleep(5 * time.Second)
		require.Equal(t, "v2", ask(t, s, "churn", "b"))

		models.damage(3, true)
		put(t, log, serve.Route{Primary: 3, Canary: 1, Share: 1, Salt: "y", Rev: 2})
		require.Equal(t, "v2", ask(t, s, "churn", "c"), "the last good route")
		time.Sleep(time.Minute)
		put(t, log, serve.Route{Primary: 4, Rev: 3})
		require.Equal(t, "v4", ask(t, s, "churn", "d"), "at once, though the one before it was being tried again")
		end()
	})
}

func TestFollowErrors(t *testing.T) {
	alone, _ := newServer(t, newFakeModels(1), nil)
	err := alone.Follow(t.Context(), "churn")
	require.ErrorIs(t, err, serve.ErrUnsupported)
	require.ErrorContains(t, err, "serve: follow the route of churn: the server has no Options.Log")

	deaf, _ := newServer(t, newFakeModels(1), &serve.Options{Log: deafStore{}})
	require.ErrorIs(t, deaf.Follow(t.Context(), "churn"), serve.ErrUnsupported)

	log := servemem.New()
	require.NoError(t, log.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 1}))
	closed := serve.New(nil, &serve.Options{Log: log})
	require.NoError(t, closed.Close(t.Context()))
	require.ErrorIs(t, closed.Follow(t.Context(), "churn"), serve.ErrClosed)
}

// deafStore is a store made before WaitRoute was.
type deafStore struct{ serve.UnimplementedStore }

// TestFencedRoute: who no longer leads moves no traffic, and loads nothing for it.
func TestFencedRoute(t *testing.T) {
	models, log := newFakeModels(1), servemem.New()
	s, _ := newServer(t, models, &serve.Options{Log: log})
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Token: 5}))
	err := s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 2, Rev: 1, Token: 4})
	require.ErrorIs(t, err, serve.ErrConflict)
	require.ErrorContains(t, err, "set under token 5, token 4 is older: another process leads")
	require.Equal(t, "v1", ask(t, s, "churn", "a"))
	require.Zero(t, models.loads[2])
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 1, Token: 6}), "the next leader takes over")
	r, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Route{Model: "churn", Primary: 1, Rev: 2, Token: 6}, r)

	require.NoError(t, s.Load(t.Context(), "churn@champion"))
	models.promote(3)
	require.NoError(t, s.Sync(t.Context()))
	r, err = s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Route{Model: "churn", Primary: 3, Rev: 3, Token: 6}, r, "following an alias keeps the token")
}
