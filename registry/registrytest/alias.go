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
			_, _, err := s.Alias(t.Context(), "m", "a")
			require.ErrorIs(t, err, registry.ErrNotFound)
			require.Len(t, events(t, s, "m"), 2)
		}},
		{"aliases by name, of one model, in pages", "another model's champion is another alias", aliasPages},
		{"a move tells its token", "a later holder must be told from an earlier one", tokens},
		{"an alias that was moved away and back is another", "a decision made before both moves must not be carried out", awayAndBack},
		{"no alias goes to a version that is rejected or archived", "what was rejected would be served", onlyServable},
	}
}

func aliasPages(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 2)
	withVersions(t, s, "other", 1)
	list := func(after string, limit int) (names []string) {
		aliases, err := s.Aliases(t.Context(), "m", after, limit)
		require.NoError(t, err)
		for _, a := range aliases {
			names = append(names, a.Name)
			require.Equal(t, registry.Alias{Model: "m", Name: a.Name, Version: 2, Seq: a.Seq, MovedAt: at(7)}, a)
		}
		return names
	}
	require.Empty(t, list("", 0))
	for _, alias := range []string{"b", "champion", "B", "gone", "a-1", "a"} {
		require.NoError(t, setAlias(t, s, "m", alias, 0, 2))
	}
	require.NoError(t, setAlias(t, s, "m", "gone", 2, 0))
	require.NoError(t, setAlias(t, s, "other", "champion", 0, 1))
	require.Equal(t, []string{"B", "a", "a-1", "b", "champion"}, list("", 0))
	require.Equal(t, []string{"B", "a"}, list("", 2))
	require.Equal(t, []string{"a-1", "b"}, list("a", 2))
	require.Equal(t, []string{"champion"}, list("c", 2), "behind a name that is none")
	require.Empty(t, list("champion", 2))
}

func tokens(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 2) // events 1 to 3
	set := func(from, to, token int64) (registry.Alias, bool) {
		a, moved, err := s.SetAlias(t.Context(), move("m", "a", from, to, token))
		require.NoError(t, err)
		return a, moved
	}
	steps := []struct {
		from, to, token, seq int64
		moved                bool
	}{
		{0, 1, 0, 4, true},
		{0, 1, 0, 4, false},  // a no-op tells the token of the move that made it so
		{1, 2, 4, 5, true},   // with the token that was read
		{1, 2, 4, 5, false},  // done again
		{2, 0, 5, 6, true},   // a deletion has one, too
		{2, 0, 5, 6, false},  // done again
		{0, 2, 6, 7, true},   // and it is the token of there being none
		{2, 1, 0, 8, true},   // without one, the version alone is compared
		{9, 1, 99, 8, false}, // it is as asked
	}
	for i, step := range steps {
		a, moved := set(step.from, step.to, step.token)
		require.Equal(t, registry.Alias{Model: "m", Name: "a", Version: step.to, Seq: step.seq, MovedAt: at(7)}, a, "step %d", i)
		require.Equal(t, step.moved, moved, "step %d", i)
	}
	require.Len(t, events(t, s, "m"), 8)
	never, moved, err := s.SetAlias(t.Context(), move("m", "never", 1, 0, 0))
	require.NoError(t, err)
	require.False(t, moved)
	require.Equal(t, registry.Alias{Model: "m", Name: "never"}, never)
}

func awayAndBack(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 3)
	seen, _, err := s.SetAlias(t.Context(), move("m", "a", 0, 1, 0))
	require.NoError(t, err)
	require.NoError(t, setAlias(t, s, "m", "a", 1, 2))
	require.NoError(t, setAlias(t, s, "m", "a", 2, 1))
	for _, m := range []registry.AliasMove{move("m", "a", 1, 3, seen.Seq), move("m", "a", 1, 0, seen.Seq)} {
		_, _, err = s.SetAlias(t.Context(), m)
		require.ErrorIs(t, err, registry.ErrConflict)
		require.ErrorContains(t, err, "look again")
	}
	require.NoError(t, setAlias(t, s, "m", "a", 1, 0))
	require.NoError(t, setAlias(t, s, "m", "a", 0, 1))
	require.NoError(t, setAlias(t, s, "m", "a", 1, 0))
	_, _, err = s.SetAlias(t.Context(), move("m", "a", 0, 3, 8))
	require.ErrorIs(t, err, registry.ErrConflict, "it was set and deleted since")
	require.Len(t, events(t, s, "m"), 4+3+3)
}

func onlyServable(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 3)
	require.NoError(t, setState(t, s, "m", 2, registry.Candidate, registry.Rejected))
	require.NoError(t, setState(t, s, "m", 3, registry.Candidate, registry.Archived))
	require.NoError(t, setAlias(t, s, "m", "champion", 0, 1))
	for number, state := range map[int64]registry.State{2: registry.Rejected, 3: registry.Archived} {
		err := setAlias(t, s, "m", "champion", 1, number)
		require.ErrorIs(t, err, registry.ErrConflict)
		require.ErrorContains(t, err, string(state))
		require.ErrorContains(t, err, "approve it first")
		require.ErrorIs(t, setAlias(t, s, "m", "other", 0, number), registry.ErrConflict)
	}
	require.Len(t, events(t, s, "m"), 7, "a refusal leaves no event")
	require.NoError(t, setState(t, s, "m", 2, registry.Rejected, registry.Approved))
	require.NoError(t, setAlias(t, s, "m", "champion", 1, 2))
	require.NoError(t, setState(t, s, "m", 2, registry.Approved, registry.Rejected))
	require.NoError(t, setAlias(t, s, "m", "champion", 1, 2), "it points there already: a no-op")
	require.NoError(t, setAlias(t, s, "m", "champion", 2, 1), "and away from there")
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

	a, v, err := s.Alias(t.Context(), "m", "a")
	require.NoError(t, err)
	require.Equal(t, registry.Alias{Model: "m", Name: "a", Version: 2, Seq: 7, MovedAt: at(7)}, a)
	want, err := s.Version(t.Context(), "m", 2)
	require.NoError(t, err)
	require.Equal(t, want, v)
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
	_, _, err := s.Alias(t.Context(), "m", "a")
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.NoError(t, setAlias(t, s, "m", "a", 0, 1), "it can be set anew")

	all := events(t, s, "m")[3:]
	require.Len(t, all, 3)
	require.Equal(t, registry.AliasDeleted, all[1].Kind)
	require.Equal(t, "2", all[1].From)
	require.Empty(t, all[1].To)
}
