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
	alias := pick(rng, "champion", "challenger")
	from, to := rng.Int64N(5), rng.Int64N(6)
	digest, key := pick(rng, "d", "e"), pick(rng, "", "", "k1", "k2", "k3")
	all := []registry.State{registry.Candidate, registry.Approved, registry.Rejected, registry.Archived}
	was, becomes := pick(rng, all...), pick(rng, all...)
	limit := rng.IntN(4)
	switch rng.IntN(10) {
	case 0:
		return operation{"create " + model, func(s registry.Store) (any, error) {
			return nil, s.CreateModel(t.Context(), registry.Model{Name: model, CreatedAt: at(1)}, ask(model, registry.ModelCreated))
		}}
	case 1, 2:
		return operation{fmt.Sprintf("create version of %s with %q %q", model, digest, key), func(s registry.Store) (any, error) {
			e := ask(model, registry.VersionCreated)
			e.To = string(registry.Candidate)
			v, err := s.CreateVersion(t.Context(), candidate(model, digest, key), e)
			return v, err
		}}
	case 3, 4:
		return operation{fmt.Sprintf("%s/%d from %s to %s", model, to, was, becomes), func(s registry.Store) (any, error) {
			return nil, setState(t, s, model, to, was, becomes)
		}}
	case 5, 6, 7:
		return operation{fmt.Sprintf("%s@%s from %d to %d", model, alias, from, to), func(s registry.Store) (any, error) {
			return nil, setAlias(t, s, model, alias, from, to)
		}}
	case 8:
		return operation{fmt.Sprintf("events of %s after %d, at most %d", model, from, limit), func(s registry.Store) (any, error) {
			events, err := s.Events(t.Context(), model, from, limit)
			return append([]registry.Event{}, events...), err
		}}
	}
	return operation{fmt.Sprintf("get %s/%d and @%s", model, to, alias), func(s registry.Store) (any, error) {
		v, err := s.Version(t.Context(), model, to)
		if err != nil {
			return nil, err
		}
		a, err := s.Alias(t.Context(), model, alias)
		return []any{v, a}, err
	}}
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// dump returns everything in the store.
func dump(t *testing.T, s registry.Store) []any {
	models, err := s.Models(t.Context())
	require.NoError(t, err)
	var all []any
	for _, m := range models {
		versions, err := s.Versions(t.Context(), m.Name)
		require.NoError(t, err)
		aliases, err := s.Aliases(t.Context(), m.Name)
		require.NoError(t, err)
		all = append(all, m, append([]registry.Version{}, versions...), append([]registry.Alias{}, aliases...), events(t, s, m.Name))
	}
	return all
}
