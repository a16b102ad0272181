package serve_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
)

func TestLoadFollowsTheAlias(t *testing.T) {
	models := newFakeModels(1)
	s, _ := newServer(t, models, &serve.Options{Log: servemem.New()})
	require.NoError(t, s.Load(t.Context(), "churn@champion"))
	require.Equal(t, "v1", ask(t, s, "churn", "a"))

	models.promote(2)
	require.Equal(t, "v1", ask(t, s, "churn", "b"), "nothing moves between two looks")
	require.NoError(t, s.Sync(t.Context()))
	require.Equal(t, "v2", ask(t, s, "churn", "c"))

	r, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Route{Model: "churn", Primary: 2, Rev: 2}, r, "the move is stored")
}

func TestLoadedByNumberStays(t *testing.T) {
	models := newFakeModels(1)
	s, _ := newServer(t, models, nil)
	require.NoError(t, s.Load(t.Context(), "churn/3"))
	models.promote(2)
	require.NoError(t, s.Sync(t.Context()))
	require.Equal(t, "v3", ask(t, s, "churn", "a"))
}

func TestLoadErrors(t *testing.T) {
	models := newFakeModels(1)
	models.damage(9, true)
	s, _ := newServer(t, models, nil)
	for _, c := range []struct {
		ref  string
		kind error
		want string
	}{
		{"fraud@champion", serve.ErrNotFound, "serve: load fraud@champion: registry: fraud@champion: not found"},
		{"churn/9", serve.ErrCorrupt, "serve: load churn/9: version 9: registry: churn/9: weights are damaged"},
	} {
		err := s.Load(t.Context(), c.ref)
		require.ErrorIs(t, err, c.kind)
		require.EqualError(t, err, c.want)
	}
	noLoader := serve.New(models, nil)
	require.ErrorIs(t, noLoader.Load(t.Context(), "churn/1"), serve.ErrUnsupported)
	require.ErrorContains(t, noLoader.Load(t.Context(), "churn/1"), `no loader for flavor "fake": add one to Options.Flavors`)
	require.ErrorIs(t, serve.New(nil, nil).Load(t.Context(), "churn/1"), serve.ErrUnsupported)
	require.ErrorIs(t, s.Ready(), serve.ErrUnavailable)
}

// TestRunMovesTheTraffic: Run looks every PollInterval, survives errors, and
// stores what was answered when it ends.
func TestRunMovesTheTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models, log := newFakeModels(1), servemem.New()
		s, _ := newServer(t, models, &serve.Options{Log: log, PollInterval: time.Second, FlushInterval: time.Hour})
		require.NoError(t, s.Load(t.Context(), "churn@champion"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()

		models.damage(2, true)
		models.promote(2)
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, "v1", ask(t, s, "churn", "a"), "a version that cannot be loaded moves nothing")
		models.damage(2, false)
		time.Sleep(time.Second)
		require.Equal(t, "v2", ask(t, s, "churn", "b"))

		cancel()
		require.NoError(t, <-ended)
		c, err := log.Counts(t.Context(), "churn")
		require.NoError(t, err)
		require.EqualValues(t, 2, c.Predictions)
	})
}

func TestSetRoute(t *testing.T) {
	models, log := newFakeModels(1), servemem.New()
	s, _ := newServer(t, models, &serve.Options{Log: log})
	require.NoError(t, s.Load(t.Context(), "churn@champion"))
	r, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)

	r.Canary, r.Share = 2, 1
	require.NoError(t, s.SetRoute(t.Context(), r))
	require.Equal(t, "v2", ask(t, s, "churn", "a"))
	stored, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 1, Salt: "churn/2", Rev: 2}, stored)

	require.ErrorIs(t, s.SetRoute(t.Context(), r), serve.ErrConflict, "r was read before the change")
	require.NoError(t, s.SetRoute(t.Context(), stored), "an equal route changes nothing")
	again, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, stored, again)

	models.damage(7, true)
	broken := stored
	broken.Shadow = 7
	require.ErrorIs(t, s.SetRoute(t.Context(), broken), serve.ErrCorrupt, "what cannot be loaded is not stored")
	again, err = s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, stored, again)
	require.ErrorIs(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: -1}), serve.ErrInvalid)
}

// TestPromotion: the challenger becomes the alias's version and is then no
// challenger any more, without a second change of the route.
func TestPromotion(t *testing.T) {
	models := newFakeModels(1)
	s, _ := newServer(t, models, &serve.Options{Log: servemem.New()})
	require.NoError(t, s.Load(t.Context(), "churn@champion"))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 0.25, Shadow: 3, Rev: 1}))
	models.promote(2)
	require.NoError(t, s.Sync(t.Context()))
	r, err := s.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, serve.Route{Model: "churn", Primary: 2, Shadow: 3, Rev: 3}, r)
}

// TestRestart: a new life takes up the stored route; an alias that moved
// meanwhile moves the traffic.
func TestRestart(t *testing.T) {
	models, log := newFakeModels(1), servemem.New()
	first, _ := newServer(t, models, &serve.Options{Log: log})
	require.NoError(t, first.Load(t.Context(), "churn@champion"))
	want := serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 0.25, Salt: "x", Shadow: 3, Rev: 2}
	change := want
	change.Rev = 1
	require.NoError(t, first.SetRoute(t.Context(), change))

	second, _ := newServer(t, models, &serve.Options{Log: log})
	require.NoError(t, second.Load(t.Context(), "churn@champion"))
	got, err := second.Route(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, want, got, "the experiment goes on")

	models.promote(2)
	third, _ := newServer(t, models, &serve.Options{Log: log})
	require.NoError(t, third.Load(t.Context(), "churn@champion"))
	require.Equal(t, "v2", ask(t, third, "churn", "a"))

	fourth, _ := newServer(t, models, &serve.Options{Log: log})
	require.ErrorIs(t, fourth.Restore(t.Context(), "fraud"), serve.ErrNotFound)
	require.NoError(t, fourth.Restore(t.Context(), "churn"))
	require.Equal(t, "v2", ask(t, fourth, "churn", "b"))
	require.NoError(t, first.Sync(t.Context()))
	require.Equal(t, "v2", ask(t, first, "churn", "c"), "a change by another process reaches this one")
}

// TestOldVersionsStayWarm: KeepWarm versions are kept for rollback, the rest
// is closed after its last request.
func TestOldVersionsStayWarm(t *testing.T) {
	models := newFakeModels(1)
	s, open := newServer(t, models, &serve.Options{KeepWarm: 2})
	for v := int64(1); v <= 5; v++ {
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: v, Rev: v - 1}))
	}
	require.Equal(t, 3, open.add(0), "versions 5, 4 and 3")
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 3, Rev: 5}))
	require.Equal(t, 1, models.loads[3], "the rollback loads nothing")
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 6}))
	require.Equal(t, 2, models.loads[1])
	require.Equal(t, 3, open.add(0), "versions 1, 3 and 5")

	none, left := newServer(t, models, &serve.Options{KeepWarm: -1})
	require.NoError(t, none.Load(t.Context(), "churn/1"))
	require.NoError(t, none.Load(t.Context(), "churn/2"))
	require.Equal(t, 1, left.add(0))
}

func TestAdd(t *testing.T) {
	s := serve.New(nil, nil)
	require.NoError(t, s.Add("churn", 1, servetest.Constant("stays")))
	require.ErrorIs(t, s.Add("churn", 1, servetest.Constant("goes")), serve.ErrAlreadyExists)
	require.ErrorIs(t, s.Add("churn", 0, nil), serve.ErrInvalid)
	_, err := s.Predict(t.Context(), "churn", serve.Request{Inputs: servetest.X(1)})
	require.ErrorIs(t, err, serve.ErrNotFound, "no route yet")
	require.ErrorIs(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 2}), serve.ErrNotFound)
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1}))
	require.Equal(t, "stays", ask(t, s, "churn", "a"))
	require.Equal(t, []string{"churn"}, s.Models())
	require.NoError(t, s.Ready())

	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, s.Close(t.Context()), "closing twice is harmless")
	_, err = s.Predict(t.Context(), "churn", serve.Request{Inputs: servetest.X(1)})
	require.ErrorIs(t, err, serve.ErrClosed)
	require.ErrorIs(t, s.Ready(), serve.ErrClosed)
	require.ErrorIs(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 1}), serve.ErrClosed)
	_, err = s.Label(t.Context(), "churn", nil)
	require.ErrorIs(t, err, serve.ErrClosed)
	require.True(t, errors.Is(s.Load(t.Context(), "churn/1"), serve.ErrClosed))
}
