package retrain_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// errReset is what a driver says that knows none of this module's kinds.
var errReset = errors.New("connection reset by peer")

// unsteady is a retrain.Store whose writes fail while refuses says so.
type unsteady struct {
	retrain.Store
	refuses func(r retrain.Retraining) bool
}

func (u *unsteady) PutRetraining(ctx context.Context, r retrain.Retraining) error {
	if u.refuses != nil && u.refuses(r) {
		return errReset
	}
	return u.Store.PutRetraining(ctx, r)
}

// forgetful is a registry.Store that loses its answer to a promotion.
type forgetful struct {
	registry.Store
	loses int
}

func (f *forgetful) SetAlias(ctx context.Context, m registry.AliasMove) (registry.Alias, bool, error) {
	now, moved, err := f.Store.SetAlias(ctx, m)
	if err == nil && m.From != 0 && f.loses > 0 {
		f.loses--
		return registry.Alias{}, false, errReset
	}
	return now, moved, err
}

func onStores(change func(s *retrain.Stores)) func(*retrain.Config) {
	return func(c *retrain.Config) {
		stores := *c.Stores
		change(&stores)
		c.Stores = &stores
		c.Rollout = retrain.Rollout{}
	}
}

// TestPromotionWhoseRecordIsLate loses the connection once the alias has moved:
// what happened is recorded at a later step, as what it was.
func TestPromotionWhoseRecordIsLate(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *retrain.Stores)
	}{
		"the record": {func(s *retrain.Stores) {
			times := 2
			s.Retrain = &unsteady{s.Retrain, func(r retrain.Retraining) bool {
				if r.Number != 1 || r.Version == 0 { // until the promotion, and then Failed in its place
					return false
				}
				times--
				return times >= 0
			}}
		}},
		"the registry's answer": {func(s *retrain.Stores) { s.Registry = &forgetful{s.Registry, 1} }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newStream(t, 40*rowsADay, never), onStores(test.change))
			w.start(20 * rowsADay)
			w.run(retrainable)
			require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
			for i := range 20 {
				_ = w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute))
				require.NoError(t, w.loop.Settle(t.Context()))
			}
			retraintest.RequirePromoted(t, w.loop, 2)
			requireChampion(t, w, 2)
			require.Zero(t, w.count(string(retrain.Failed)))
			require.Empty(t, w.status().Failing)
		})
	}
}

// TestABeginningThatCannotBeRecorded has the store refuse a new retraining's
// record: it begins at a later step, on record and with its event.
func TestABeginningThatCannotBeRecorded(t *testing.T) {
	refused := 0
	w := newWorld(t, newStream(t, 40*rowsADay, never), onStores(func(s *retrain.Stores) {
		s.Retrain = &unsteady{s.Retrain, func(r retrain.Retraining) bool {
			if r.Number == 1 && r.Stage == retrain.Fitting && refused < 3 {
				refused++
				return true
			}
			return false
		}}
	}))
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	for i := range 3 {
		require.ErrorIs(t, w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute)), errReset)
		require.Len(t, w.retrainings(), 1)
	}
	w.step(at(w.row).Add(time.Hour))
	retraintest.RequirePromoted(t, w.loop, 2)
	require.Equal(t, 2, w.count(retrain.EventStarted))
}

// panicky is a registry.Store whose aliases panic while it is on.
type panicky struct {
	registry.Store
	on bool
}

func (p *panicky) Alias(ctx context.Context, model, alias string) (registry.Alias, registry.Version, error) {
	if p.on {
		panic("no registry")
	}
	return p.Store.Alias(ctx, model, alias)
}

// TestARegistryThatPanics is no champion's deletion: no first fit is begun in its
// place.
func TestARegistryThatPanics(t *testing.T) {
	var p *panicky
	w := newWorld(t, newStream(t, 40*rowsADay, never), onStores(func(s *retrain.Stores) {
		p = &panicky{Store: s.Registry}
		s.Registry = p
	}))
	w.start(20 * rowsADay)
	w.run(retrainable)
	p.on = true
	for i := range 3 {
		require.ErrorContains(t, w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute)), "follow the alias: panic: no registry")
	}
	p.on = false
	w.runDays(2)
	require.Len(t, w.retrainings(), 1)
	requireChampion(t, w, 1)
}
