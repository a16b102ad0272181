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
			none, err := s.Models(t.Context())
			require.NoError(t, err)
			require.Empty(t, none)
			for _, name := range []string{"b", "é", "B", "a"} {
				createModel(t, s, name)
			}
			models, err := s.Models(t.Context())
			require.NoError(t, err)
			require.Equal(t, []registry.Model{
				{Name: "B", CreatedAt: at(1)}, {Name: "a", CreatedAt: at(1)}, {Name: "b", CreatedAt: at(1)}, {Name: "é", CreatedAt: at(1)},
			}, models)
		}},
		{"a model is made once", "two services that start at once must not reset each other's model", func(t *testing.T, s registry.Store) {
			createModel(t, s, "m")
			err := s.CreateModel(t.Context(), registry.Model{Name: "m", CreatedAt: at(9)}, ask("m", registry.ModelCreated))
			require.ErrorIs(t, err, registry.ErrAlreadyExists)
			require.Len(t, events(t, s, "m"), 1)
			models, err := s.Models(t.Context())
			require.NoError(t, err)
			require.Equal(t, at(1), models[0].CreatedAt)
		}},
		{"an unknown model is not found", "an empty answer would hide a misspelt name", unknownModel},
		{"text is kept as it is", "reasons and names are people's, in any script", oddText},
		{"a cancelled call changes nothing", "a request that was given up must not half-happen", cancelled},
	}
}

func unknownModel(t *testing.T, s registry.Store) {
	createModel(t, s, "other")
	ctx := t.Context()
	calls := map[string]func() error{
		"CreateVersion": func() error {
			_, err := s.CreateVersion(ctx, candidate("m", "d", ""), ask("m", registry.VersionCreated))
			return err
		},
		"Version":  func() error { _, err := s.Version(ctx, "m", 1); return err },
		"Versions": func() error { _, err := s.Versions(ctx, "m"); return err },
		"SetState": func() error { return setState(t, s, "m", 1, registry.Candidate, registry.Approved) },
		"SetAlias": func() error { return setAlias(t, s, "m", "a", 0, 1) },
		"delete":   func() error { return setAlias(t, s, "m", "a", 1, 0) },
		"Alias":    func() error { _, err := s.Alias(ctx, "m", "a"); return err },
		"Aliases":  func() error { _, err := s.Aliases(ctx, "m"); return err },
		"Events":   func() error { _, err := s.Events(ctx, "m", 0, 0); return err },
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
	e := ask(model, registry.VersionCreated)
	e.Actor, e.Reason = "O'Neil {p}", strings.Repeat("日\n", 2500)
	stored, err := s.CreateVersion(t.Context(), v, e)
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
	require.ErrorIs(t, s.CreateModel(ctx, registry.Model{Name: "n", CreatedAt: at(1)}, ask("n", registry.ModelCreated)), context.Canceled)
	_, err := s.CreateVersion(ctx, candidate("m", "d", ""), ask("m", registry.VersionCreated))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.SetAlias(ctx, "m", "a", 0, 1, at(3), ask("m", registry.AliasSet)), context.Canceled)
	require.ErrorIs(t, s.SetState(ctx, "m", 1, registry.Candidate, registry.Approved, ask("m", registry.VersionState)), context.Canceled)
	_, err = s.Versions(ctx, "m")
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, events(t, s, "m"), 2)
	models, err := s.Models(t.Context())
	require.NoError(t, err)
	require.Len(t, models, 1)
}
