package registrytest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

func versionCases() []testCase {
	return []testCase{
		{"versions are numbered from 1", "people name versions by number, within one model", func(t *testing.T, s registry.Store) {
			withVersions(t, s, "m", 3)
			withVersions(t, s, "other", 1)
			v := createVersion(t, s, "m", "d4", "k")
			want := candidate("m", "d4", "k")
			want.Number, want.ModelID, want.Seq = 4, named("m").ID, 5
			require.Equal(t, want, v)
			got, err := s.Version(t.Context(), "m", 4)
			require.NoError(t, err)
			require.Equal(t, want, got)
			one, err := s.Version(t.Context(), "other", 1)
			require.NoError(t, err)
			require.Equal(t, "other", one.Model)
		}},
		{"an unknown version is not found", "another version must never come instead", func(t *testing.T, s registry.Store) {
			withVersions(t, s, "m", 1)
			for _, number := range []int64{-1, 2, 1 << 62} {
				_, err := s.Version(t.Context(), "m", number)
				require.ErrorIs(t, err, registry.ErrNotFound)
			}
			require.ErrorIs(t, setState(t, s, "m", 2, registry.Candidate, registry.Approved), registry.ErrNotFound)
			createModel(t, s, "empty")
			_, err := s.Version(t.Context(), "empty", 0)
			require.ErrorIs(t, err, registry.ErrNotFound, "there is no newest one")
		}},
		{"versions come newest first, in pages", "a model may have any number of versions", versionPages},
		{"a key gives one version", "a step that is done again after a crash must not register twice", keys},
		{"states move by compare-and-set", "two people who decide at once must not overwrite each other", states},
	}
}

func versionPages(t *testing.T, s registry.Store) {
	createModel(t, s, "m")
	none, err := s.Versions(t.Context(), "m", 0, 0)
	require.NoError(t, err)
	require.Empty(t, none)
	for range 11 { // ten comes after nine, not after one
		createVersion(t, s, "m", "d", "")
	}
	createModel(t, s, "n")
	numbers := func(before int64, limit int) (all []int64) {
		versions, err := s.Versions(t.Context(), "m", before, limit)
		require.NoError(t, err)
		for _, v := range versions {
			all = append(all, v.Number)
		}
		return all
	}
	require.Equal(t, []int64{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, numbers(0, 0))
	require.Equal(t, []int64{11, 10, 9}, numbers(0, 3))
	require.Equal(t, []int64{8, 7, 6}, numbers(9, 3))
	require.Equal(t, []int64{2, 1}, numbers(3, 3))
	require.Empty(t, numbers(1, 3))
	require.Equal(t, []int64{11, 10}, numbers(99, 2))
	newest, err := s.Version(t.Context(), "m", 0)
	require.NoError(t, err)
	require.EqualValues(t, 11, newest.Number)
}

func keys(t *testing.T, s registry.Store) {
	createModel(t, s, "m")
	createModel(t, s, "other")
	first := createVersion(t, s, "m", "d", "k")
	require.NoError(t, setState(t, s, "m", 1, registry.Candidate, registry.Approved))
	first.State = registry.Approved

	again := candidate("m", "d", "k")
	again.CreatedAt, again.Lineage = at(99), registry.Lineage{}
	got, created, err := s.CreateVersion(t.Context(), again, made("m", "d"))
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, first, got, "the first one comes back as it is now")

	_, _, err = s.CreateVersion(t.Context(), candidate("m", "another", "k"), made("m", "another"))
	require.ErrorIs(t, err, registry.ErrAlreadyExists)
	require.Len(t, events(t, s, "m"), 3, "neither call left an event")

	require.EqualValues(t, 1, createVersion(t, s, "other", "another", "k").Number, "keys belong to one model")
	require.EqualValues(t, 2, createVersion(t, s, "m", "d", "").Number)
	require.EqualValues(t, 3, createVersion(t, s, "m", "d", "").Number, "no key, no idempotency")
}

func states(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 2)
	require.NoError(t, setState(t, s, "m", 1, registry.Candidate, registry.Approved))
	require.NoError(t, setState(t, s, "m", 1, registry.Candidate, registry.Approved), "done again: a no-op")
	require.NoError(t, setState(t, s, "m", 1, registry.Rejected, registry.Approved), "it is as asked: a no-op")
	require.ErrorIs(t, setState(t, s, "m", 1, registry.Candidate, registry.Rejected), registry.ErrConflict)
	require.NoError(t, setState(t, s, "m", 1, registry.Approved, registry.Archived))

	v, err := s.Version(t.Context(), "m", 1)
	require.NoError(t, err)
	require.Equal(t, registry.Archived, v.State)
	other, err := s.Version(t.Context(), "m", 2)
	require.NoError(t, err)
	require.Equal(t, registry.Candidate, other.State)
	all := events(t, s, "m")
	require.Len(t, all, 5, "only what changed something left an event")
	require.Equal(t, []string{"candidate", "approved"}, []string{all[3].From, all[3].To})
	require.Equal(t, []string{"approved", "archived"}, []string{all[4].From, all[4].To})
}
