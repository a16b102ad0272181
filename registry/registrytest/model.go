package registrytest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

func modelCases() []testCase {
	return []testCase{
		{"models by name", "a list in another order each time cannot be paged or compared", func(t *testing.T, s registry.Store) {
			none, err := s.Models(t.Context(), "", 0)
			require.NoError(t, err)
			require.Empty(t, none)
			for _, name := range []string{"b", "é", "B", "a"} {
				createModel(t, s, name)
			}
			models, err := s.Models(t.Context(), "", 0)
			require.NoError(t, err)
			require.Equal(t, []registry.Model{named("B"), named("a"), named("b"), named("é")}, models)
			b, err := s.Model(t.Context(), "b")
			require.NoError(t, err)
			require.Equal(t, named("b"), b)
			page, err := s.Models(t.Context(), "B", 2)
			require.NoError(t, err)
			require.Equal(t, models[1:3], page)
			page, err = s.Models(t.Context(), "c", 2)
			require.NoError(t, err)
			require.Equal(t, models[3:], page, "behind a name that is none")
		}},
		{"a model is made once", "two services that start at once must not reset each other's model", func(t *testing.T, s registry.Store) {
			createModel(t, s, "m")
			again := registry.Model{ID: "another", Name: "m", CreatedAt: at(9)}
			err := s.CreateModel(t.Context(), again, ask("m", registry.ModelCreated))
			require.ErrorIs(t, err, registry.ErrAlreadyExists)
			require.Len(t, events(t, s, "m"), 1)
			models, err := s.Models(t.Context(), "", 0)
			require.NoError(t, err)
			require.Equal(t, []registry.Model{named("m")}, models)
		}},
		{"a model is renamed", "a name is for people; versions, aliases and trail belong to the model", rename},
		{"an unknown model is not found", "an empty answer would hide a misspelt name", unknownModel},
		{"text is kept as it is", "reasons and names are people's, in any script", oddText},
		{"a cancelled call changes nothing", "a request that was given up must not half-happen", cancelled},
	}
}

// renamed is the event of a rename as the Client passes it.
func renamed(from, to string) registry.Event {
	e := ask(from, registry.ModelRenamed)
	e.From, e.To = from, to
	return e
}

func rename(t *testing.T, s registry.Store) {
	ctx := t.Context()
	withVersions(t, s, "old", 2)
	createModel(t, s, "other")
	require.NoError(t, setAlias(t, s, "old", "a", 0, 2))
	_, err := s.RenameModel(ctx, "old", "other", renamed("old", "other"))
	require.ErrorIs(t, err, registry.ErrAlreadyExists)
	same, err := s.RenameModel(ctx, "old", "old", renamed("old", "old"))
	require.NoError(t, err)
	require.Equal(t, named("old"), same, "to its own name: a no-op")
	require.Len(t, events(t, s, "old"), 4)

	want := named("old")
	want.Name = "new"
	m, err := s.RenameModel(ctx, "old", "new", renamed("old", "new"))
	require.NoError(t, err)
	require.Equal(t, want, m)
	_, err = s.Model(ctx, "old")
	require.ErrorIs(t, err, registry.ErrNotFound)
	a, v, err := s.Alias(ctx, "new", "a")
	require.NoError(t, err)
	require.Equal(t, registry.Alias{Model: "new", Name: "a", Version: 2, Seq: 4, MovedAt: at(7)}, a)
	require.Equal(t, "new", v.Model)
	require.Equal(t, want.ID, v.ModelID)
	require.EqualValues(t, 3, createVersion(t, s, "new", "d", "").Number, "numbers go on")
	all := events(t, s, "new")
	require.Len(t, all, 6)
	require.Equal(t, "new", all[0].Model)
	require.Equal(t, []string{registry.ModelRenamed, "old", "new"}, []string{all[4].Kind, all[4].From, all[4].To})

	other := named("old")
	other.ID = "of another"
	require.NoError(t, s.CreateModel(ctx, other, ask("old", registry.ModelCreated)), "the old name is free")
	require.Len(t, events(t, s, "old"), 1, "and has nothing to do with the renamed one")
}

func unknownModel(t *testing.T, s registry.Store) {
	createModel(t, s, "other")
	ctx := t.Context()
	calls := map[string]func() error{
		"CreateVersion": func() error {
			_, _, err := s.CreateVersion(ctx, candidate("m", "d", ""), made("m", "d"))
			return err
		},
		"RenameModel": func() error {
			_, err := s.RenameModel(ctx, "m", "n", renamed("m", "n"))
			return err
		},
		"Model":    func() error { _, err := s.Model(ctx, "m"); return err },
		"Version":  func() error { _, err := s.Version(ctx, "m", 1); return err },
		"Versions": func() error { _, err := s.Versions(ctx, "m", 0, 0); return err },
		"newest":   func() error { _, err := s.Version(ctx, "m", 0); return err },
		"SetState": func() error { return setState(t, s, "m", 1, registry.Candidate, registry.Approved) },
		"SetAlias": func() error { return setAlias(t, s, "m", "a", 0, 1) },
		"delete":   func() error { return setAlias(t, s, "m", "a", 1, 0) },
		"Alias":    func() error { _, _, err := s.Alias(ctx, "m", "a"); return err },
		"Aliases":  func() error { _, err := s.Aliases(ctx, "m", "", 0); return err },
		"Events":   func() error { _, err := s.Events(ctx, registry.EventQuery{Model: "m"}); return err },
	}
	for name, call := range calls {
		require.ErrorIs(t, call(), registry.ErrNotFound, name)
		require.ErrorContains(t, call(), "model m: not found", name)
	}
}

func oddText(t *testing.T, s registry.Store) {
	model := "m'\"; DROP TABLE é 日本 %_?"
	createModel(t, s, model)
	v := candidate(model, "d", "key '%'")
	v.Lineage = registry.Lineage{RunID: "r'", DataDigest: `"`, Code: "{p}\\"}
	e := made(model, v.Digest)
	e.Actor, e.Reason = "O'Neil {p}", strings.Repeat("日\n", 2500)
	stored, _, err := s.CreateVersion(t.Context(), v, e)
	require.NoError(t, err)
	got, err := s.Version(t.Context(), model, 1)
	require.NoError(t, err)
	require.Equal(t, stored, got)
	require.Equal(t, v.Lineage, got.Lineage)
	require.Equal(t, v.Key, got.Key)
	last := events(t, s, model)[1]
	require.Equal(t, e.Actor, last.Actor)
	require.Equal(t, e.Reason, last.Reason)
}

func cancelled(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.CreateModel(ctx, named("n"), ask("n", registry.ModelCreated)), context.Canceled)
	_, _, err := s.CreateVersion(ctx, candidate("m", "d", ""), made("m", "d"))
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.SetAlias(ctx, move("m", "a", 0, 1, 0))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.SetState(ctx, "m", 1, registry.Candidate, registry.Approved, ask("m", registry.VersionState))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.RenameModel(ctx, "m", "n", renamed("m", "n"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Versions(ctx, "m", 0, 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, events(t, s, "m"), 2)
	models, err := s.Models(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, models, 1)
}
