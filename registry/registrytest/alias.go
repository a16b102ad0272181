package registrytest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

func aliasCases() []testCase {
	return []testCase{
		{"an alias moves by compare-and-set", "of two promotions one must win, and the other must know", moves},
		{"an alias is deleted by compare-and-set", "a rollback must not take away what somebody else promoted", deletes},
		{"an alias points at a version that exists", "a server would look for a model that is not there", func(t *testing.T, s registry.Store) {
			withVersions(t, s, "m", 1)
			withVersions(t, s, "other", 2)
			require.ErrorIs(t, setAlias(t, s, "m", "a", 0, 2), registry.ErrNotFound)
			_, err := s.Alias(t.Context(), "m", "a")
			require.ErrorIs(t, err, registry.ErrNotFound)
			require.Len(t, events(t, s, "m"), 2)
		}},
		{"aliases by name, of one model", "another model's champion is another alias", func(t *testing.T, s registry.Store) {
			withVersions(t, s, "m", 2)
			withVersions(t, s, "other", 1)
			none, err := s.Aliases(t.Context(), "m")
			require.NoError(t, err)
			require.Empty(t, none)
			for _, alias := range []string{"b", "champion", "B", "a-1", "a"} {
				require.NoError(t, setAlias(t, s, "m", alias, 0, 2))
			}
			require.NoError(t, setAlias(t, s, "other", "champion", 0, 1))
			aliases, err := s.Aliases(t.Context(), "m")
			require.NoError(t, err)
			var names []string
			for _, a := range aliases {
				names = append(names, a.Name)
				require.Equal(t, registry.Alias{Model: "m", Name: a.Name, Version: 2, MovedAt: at(3)}, a)
			}
			require.Equal(t, []string{"B", "a", "a-1", "b", "champion"}, names)
		}},
	}
}

func moves(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 3)
	require.ErrorIs(t, setAlias(t, s, "m", "a", 1, 2), registry.ErrConflict, "it does not point at 1")
	require.NoError(t, setAlias(t, s, "m", "a", 0, 1))
	require.NoError(t, setAlias(t, s, "m", "a", 0, 1), "done again: a no-op")
	require.ErrorIs(t, setAlias(t, s, "m", "a", 0, 2), registry.ErrConflict, "it exists by now")
	require.NoError(t, setAlias(t, s, "m", "a", 1, 3))
	require.NoError(t, setAlias(t, s, "m", "a", 1, 3), "done again: a no-op")
	require.NoError(t, setAlias(t, s, "m", "a", 2, 3), "it is as asked: a no-op")
	require.NoError(t, setAlias(t, s, "m", "a", 3, 2), "and back to an older one")

	a, err := s.Alias(t.Context(), "m", "a")
	require.NoError(t, err)
	require.Equal(t, registry.Alias{Model: "m", Name: "a", Version: 2, MovedAt: at(3)}, a)
	all := events(t, s, "m")[4:]
	require.Len(t, all, 3, "only what changed something left an event")
	for i, want := range [][2]string{{"", "1"}, {"1", "3"}, {"3", "2"}} {
		require.Equal(t, want, [2]string{all[i].From, all[i].To})
		require.Equal(t, "a", all[i].Alias)
	}
}

func deletes(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 2)
	require.NoError(t, setAlias(t, s, "m", "a", 2, 0), "there is none: a no-op")
	require.NoError(t, setAlias(t, s, "m", "a", 0, 2))
	require.ErrorIs(t, setAlias(t, s, "m", "a", 1, 0), registry.ErrConflict)
	require.NoError(t, setAlias(t, s, "m", "a", 2, 0))
	require.NoError(t, setAlias(t, s, "m", "a", 2, 0), "done again: a no-op")
	_, err := s.Alias(t.Context(), "m", "a")
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.NoError(t, setAlias(t, s, "m", "a", 0, 1), "it can be set anew")

	all := events(t, s, "m")[3:]
	require.Len(t, all, 3)
	require.Equal(t, registry.AliasDeleted, all[1].Kind)
	require.Equal(t, "2", all[1].From)
	require.Empty(t, all[1].To)
}
