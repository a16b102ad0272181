package servetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
)

func testRoutes(t *testing.T, s serve.Store) {
	r := serve.Route{Model: "churn", Primary: 1, Rev: 1}
	require.NoError(t, s.PutRoute(t.Context(), r))
	require.ErrorIs(t, s.PutRoute(t.Context(), r), serve.ErrConflict, "revision 1 is there")
	next := serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 0.05, Shadow: 3, Salt: "s", Rev: 2}
	require.NoError(t, s.PutRoute(t.Context(), next))
	require.NoError(t, s.PutRoute(t.Context(), serve.Route{Model: "fraud", Primary: 7, Rev: 1}))
	requireRoute(t, s, next)

	for _, rev := range []int64{-1, 0, 1, 2, 4} {
		err := s.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: 9, Rev: rev})
		require.ErrorIs(t, err, serve.ErrConflict, "revision %d", rev)
	}
	require.ErrorIs(t, s.PutRoute(t.Context(), serve.Route{Model: "new", Primary: 1, Rev: 2}), serve.ErrConflict)
	require.ErrorIs(t, s.PutRoute(t.Context(), serve.Route{Model: "new", Primary: 1, Rev: 0}), serve.ErrConflict)
	requireRoute(t, s, next)
}

func requireRoute(t *testing.T, s serve.Store, want serve.Route) {
	t.Helper()
	got, err := s.Route(t.Context(), want.Model)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func testFencedRoutes(t *testing.T, s serve.Store) {
	const large = 1 << 40 // more than 32 bits
	for _, c := range []struct {
		rev, token int64
		stored     bool
	}{
		{1, 5, true}, {2, 4, false}, {2, 0, false}, {2, 5, true}, {3, 6, true}, {4, 5, false}, {5, 7, false}, {4, large, true}, {5, 6, false}, {5, large, true},
	} {
		r := serve.Route{Model: "churn", Primary: c.rev, Rev: c.rev, Token: c.token}
		err := s.PutRoute(t.Context(), r)
		if !c.stored {
			require.ErrorIs(t, err, serve.ErrConflict, "revision %d under token %d", c.rev, c.token)
			continue
		}
		require.NoError(t, err, "revision %d under token %d", c.rev, c.token)
		requireRoute(t, s, r)
	}
	require.ErrorContains(t, s.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 6, Token: 1}), "another process leads")
}

func testRouteRace(t *testing.T, s serve.Store) {
	for rev := range int64(2) { // the first route is stored in another way than those after it
		var wins atomic.Int64
		var wg sync.WaitGroup
		for i := range int64(200) {
			wg.Go(func() {
				err := s.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: i + 2, Rev: rev + 1, Token: rev})
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, serve.ErrConflict) {
					t.Errorf("writer %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, wins.Load(), "revision %d", rev+1)
	}
}

// testRouteMoves has writers change the route again and again: each success is
// a revision of its own.
func testRouteMoves(t *testing.T, s serve.Store) {
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for moved := 0; moved < each && !t.Failed(); {
				now, err := s.Route(t.Context(), "churn")
				if err == nil || errors.Is(err, serve.ErrNotFound) {
					err = s.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: int64(w + 1), Rev: now.Rev + 1})
				}
				switch {
				case err == nil:
					moved++
				case !errors.Is(err, serve.ErrConflict):
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	r, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, writers*each, r.Rev)
}

func testWaitRoute(t *testing.T, s serve.Store) {
	wait := func(model string, rev int64) (serve.Route, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return s.WaitRoute(ctx, model, rev)
	}
	_, err := wait("churn", 3)
	require.ErrorIs(t, err, serve.ErrNotFound)

	want := serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 0.5, Salt: "s", Rev: 1, Token: 9}
	require.NoError(t, s.PutRoute(t.Context(), want))
	for _, rev := range []int64{0, 2, -1} {
		got, err := wait("churn", rev)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = s.WaitRoute(ctx, "churn", 1)
	require.ErrorIs(t, err, context.DeadlineExceeded, "nothing changes")
	_, err = s.WaitRoute(ctx, "new", 0)
	require.ErrorIs(t, err, context.DeadlineExceeded, "no first route comes")
}

// testWaitRoutes has two players who each move when the other has moved, while
// another model's route changes all the time.
func testWaitRoutes(t *testing.T, s serve.Store) {
	const moves = 8
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for player := range int64(2) {
		wg.Go(func() {
			for rev := player; rev < moves; rev += 2 { // the route is at rev when it is this player's turn
				var got serve.Route
				var err error
				if rev > 0 {
					got, err = s.WaitRoute(ctx, "churn", rev-1)
				}
				if err == nil {
					err = s.PutRoute(ctx, serve.Route{Model: "fraud", Primary: 1, Rev: rev + 1})
				}
				if err == nil {
					err = s.PutRoute(ctx, serve.Route{Model: "churn", Primary: 1, Rev: rev + 1})
				}
				if err != nil || got.Rev != rev {
					t.Errorf("player %d: waited for revision %d, got %d, %v", player, rev, got.Rev, err)
					return
				}
			}
		})
	}
	wg.Wait()
	requireRoute(t, s, serve.Route{Model: "churn", Primary: 1, Rev: moves})
}

func testWaitInTx(t *testing.T, s serve.Store) {
	_, err := s.WaitRoute(t.Context(), "churn", 0)
	require.ErrorIs(t, err, serve.ErrUnsupported)
}
