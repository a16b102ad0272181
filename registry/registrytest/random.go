package registrytest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
)

// runRandom does the same random operations with the store and the one in
// memory: every answer must be the same, and in the end all they hold.
func runRandom(t *testing.T, newStore func(t *testing.T) registry.Store) {
	for seed := uint64(1); seed <= 3; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			want, got := registrymem.New(), newStore(t)
			for i := range 300 {
				op := randomOp(t, rng)
				wantAnswer, wantErr := op.do(want)
				gotAnswer, gotErr := op.do(got)
				require.Equal(t, fault.Kind(wantErr), fault.Kind(gotErr), "operation %d, %s: want error %v, got %v", i, op.name, wantErr, gotErr)
				require.Equal(t, wantAnswer, gotAnswer, "operation %d, %s", i, op.name)
			}
			require.Equal(t, dump(t, want), dump(t, got))
		})
	}
}

type operation struct {
	name string
	do   func(s registry.Store) (any, error)
}

func randomOp(t *testing.T, rng *rand.Rand) operation {
	model := pick(rng, "m", "n")
	number, limit := rng.Int64N(6), rng.IntN(4)
	switch rng.IntN(12) {
	case 0:
		m := registry.Model{ID: fmt.Sprint("id ", rng.Uint64()), Name: model, CreatedAt: at(1)}
		return operation{"create " + model, func(s registry.Store) (any, error) {
			e := ask(model, registry.ModelCreated)
			e.To = model
			return nil, s.CreateModel(t.Context(), m, e)
		}}
	case 1:
		to := pick(rng, "m", "n", "o")
		return operation{"rename " + model + " to " + to, func(s registry.Store) (any, error) {
			return s.RenameModel(t.Context(), model, to, renamed(model, to))
		}}
	case 2, 3:
		return randomVersion(t, rng, model)
	case 4, 5:
		all := []registry.State{registry.Candidate, registry.Approved, registry.Rejected, registry.Archived}
		was, becomes := pick(rng, all...), pick(rng, all...)
		return operation{fmt.Sprintf("%s/%d from %s to %s", model, number, was, becomes), func(s registry.Store) (any, error) {
			return nil, setState(t, s, model, number, was, becomes)
		}}
	case 6, 7, 8:
		m := move(model, pick(rng, "champion", "challenger"), rng.Int64N(5), number, pick(rng, 0, 0, rng.Int64N(40)))
		return operation{fmt.Sprintf("%s@%s from %d (%d) to %d", model, m.Alias, m.From, m.Token, m.To), func(s registry.Store) (any, error) {
			a, moved, err := s.SetAlias(t.Context(), m)
			return []any{a, moved}, err
		}}
	case 9:
		q := registry.EventQuery{Model: model, After: rng.Int64N(8), Alias: pick(rng, "", "champion"), Newest: pick(rng, true, false), Limit: limit}
		return operation{fmt.Sprintf("events %+v", q), func(s registry.Store) (any, error) {
			events, err := s.Events(t.Context(), q)
			return append([]registry.Event{}, events...), err
		}}
	case 10:
		return operation{fmt.Sprintf("versions of %s before %d, at most %d", model, number, limit), func(s registry.Store) (any, error) {
			versions, err := s.Versions(t.Context(), model, number, limit)
			return append([]registry.Version{}, versions...), err
		}}
	}
	return randomGet(t, rng, model, number)
}

func randomVersion(t *testing.T, rng *rand.Rand, model string) operation {
	digest, key := pick(rng, "d", "e"), pick(rng, "", "", "k1", "k2", "k3")
	return operation{fmt.Sprintf("create version of %s with %q %q", model, digest, key), func(s registry.Store) (any, error) {
		v, created, err := s.CreateVersion(t.Context(), candidate(model, digest, key), made(model, digest))
		return []any{v, created}, err
	}}
}

func randomGet(t *testing.T, rng *rand.Rand, model string, number int64) operation {
	alias := pick(rng, "champion", "challenger")
	return operation{fmt.Sprintf("get %s/%d and @%s", model, number, alias), func(s registry.Store) (any, error) {
		v, err := s.Version(t.Context(), model, number)
		if err != nil {
			return nil, err
		}
		a, pointed, err := s.Alias(t.Context(), model, alias)
		return []any{v, a, pointed}, err
	}}
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// dump returns everything in the store.
func dump(t *testing.T, s registry.Store) []any {
	models, err := s.Models(t.Context(), "", 0)
	require.NoError(t, err)
	var all []any
	for _, m := range models {
		versions, err := s.Versions(t.Context(), m.Name, 0, 0)
		require.NoError(t, err)
		aliases, err := s.Aliases(t.Context(), m.Name, "", 0)
		require.NoError(t, err)
		all = append(all, m, append([]registry.Version{}, versions...), append([]registry.Alias{}, aliases...), events(t, s, m.Name))
	}
	return all
}
