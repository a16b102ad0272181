package registrytest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

func eventCases() []testCase {
	return []testCase{
		{"every change leaves its event", "who changed what, and why, is what the audit is for", everyChangeLeavesItsEvent},
		{"each model has its own trail", "one model's audit must not tell of another", eachModelHasItsTrail},
		{"events come in pages", "a reader who goes on after the last Seq misses and repeats nothing", eventsComeInPages},
	}
}

func everyChangeLeavesItsEvent(t *testing.T, s registry.Store) {
	createModel(t, s, "m")
	createVersion(t, s, "m", "d", "")
	require.NoError(t, setState(t, s, "m", 1, registry.Candidate, registry.Approved))
	require.NoError(t, setAlias(t, s, "m", "champion", 0, 1))
	require.NoError(t, setAlias(t, s, "m", "champion", 1, 0))
	want := []registry.Event{
		{Seq: 1, Kind: registry.ModelCreated},
		{Seq: 2, Kind: registry.VersionCreated, Version: 1, To: "candidate"},
		{Seq: 3, Kind: registry.VersionState, Version: 1, From: "candidate", To: "approved"},
		{Seq: 4, Kind: registry.AliasSet, Version: 1, Alias: "champion", To: "1"},
		{Seq: 5, Kind: registry.AliasDeleted, Version: 1, Alias: "champion", From: "1"},
	}
	hash := ""
	for i := range want {
		want[i].Model, want[i].Actor, want[i].Reason, want[i].Time = "m", "ann", "because", at(7)
		hash = registry.Chain(hash, want[i])
		want[i].Hash = hash
	}
	require.Equal(t, want, events(t, s, "m"))
}

func eachModelHasItsTrail(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 2)
	withVersions(t, s, "other", 1)
	require.Len(t, events(t, s, "m"), 3)
	require.Len(t, events(t, s, "other"), 2)
	require.EqualValues(t, 1, events(t, s, "other")[0].Seq)
}

func eventsComeInPages(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 1)
	const n = 1010
	state := []registry.State{registry.Candidate, registry.Approved}
	for i := range n {
		require.NoError(t, setState(t, s, "m", 1, state[i%2], state[(i+1)%2]))
	}
	require.Len(t, events(t, s, "m"), 1000, "the limit unless told otherwise")
	next := int64(1)
	for after := int64(0); ; {
		page, err := s.Events(t.Context(), "m", after, 300)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			require.Equal(t, next, e.Seq)
			next++
		}
		after = page[len(page)-1].Seq
	}
	require.EqualValues(t, n+2+1, next)
	none, err := s.Events(t.Context(), "m", 1<<62, 1)
	require.NoError(t, err)
	require.Empty(t, none)
}
