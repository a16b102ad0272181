package registrytest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

func eventCases() []testCase {
	return []testCase{
		{"every change leaves its event", "who changed what, and why, is what the audit is for", everyChangeLeavesItsEvent},
		{"each model has its own trail", "one model's audit must not tell of another", eachModelHasItsTrail},
		{"events are asked for by alias and time", "who was champion then must not take reading the whole trail", eventsAreAskedFor},
		{"events come in pages", "a reader who goes on after the last Seq misses and repeats nothing", eventsComeInPages},
	}
}

func everyChangeLeavesItsEvent(t *testing.T, s registry.Store) {
	createModel(t, s, "m")
	createVersion(t, s, "m", "d", "")
	require.NoError(t, setState(t, s, "m", 1, registry.Candidate, registry.Approved))
	require.NoError(t, setAlias(t, s, "m", "champion", 0, 1))
	require.NoError(t, setAlias(t, s, "m", "champion", 1, 0))
	v, err := s.Version(t.Context(), "m", 1)
	require.NoError(t, err)
	want := []registry.Event{
		{Kind: registry.ModelCreated, To: "m"},
		{Kind: registry.VersionCreated, Version: 1, To: "candidate", Digest: "d", Content: v.ContentHash()},
		{Kind: registry.VersionState, Version: 1, From: "candidate", To: "approved"},
		{Kind: registry.AliasSet, Version: 1, Alias: "champion", To: "1"},
		{Kind: registry.AliasDeleted, Version: 1, Alias: "champion", From: "1"},
	}
	var last registry.Event
	for i, e := range want {
		e.Model, e.ModelID, e.Actor, e.Reason, e.Time = "m", named("m").ID, "ann", "because", at(7)
		last = e.Follow(last)
		want[i] = last
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
	require.Len(t, events(t, s, "m"), registry.DefaultPage, "the limit unless told otherwise")
	next := int64(1)
	for after := int64(0); ; {
		page := query(t, s, registry.EventQuery{Model: "m", After: after, Limit: 300})
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
	require.Empty(t, query(t, s, registry.EventQuery{Model: "m", After: 1 << 62, Limit: 1}))
}

func query(t testing.TB, s registry.Store, q registry.EventQuery) []registry.Event {
	t.Helper()
	page, err := s.Events(t.Context(), q)
	require.NoError(t, err)
	return page
}

func eventsAreAskedFor(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 2) // events 1 to 3
	for i, to := range []int64{1, 2, 1, 2} {
		for j, alias := range []string{"a", "b"} {
			m := move("m", alias, []int64{0, 1, 2, 1}[i], to, 0)
			m.Event.Time = at(int64(100*i + j))
			_, _, err := s.SetAlias(t.Context(), m)
			require.NoError(t, err)
		}
	}
	seqs := func(q registry.EventQuery) (all []int64) {
		q.Model = "m"
		for _, e := range query(t, s, q) {
			all = append(all, e.Seq)
		}
		return all
	}
	require.Equal(t, []int64{4, 6, 8, 10}, seqs(registry.EventQuery{Alias: "a"}))
	require.Equal(t, []int64{10}, seqs(registry.EventQuery{Alias: "a", Newest: true, Limit: 1}))
	require.Equal(t, []int64{9, 7}, seqs(registry.EventQuery{Alias: "b", Newest: true, After: 5, Until: at(201)}))
	require.Equal(t, []int64{7, 5}, seqs(registry.EventQuery{Alias: "b", Newest: true, Until: at(201).Add(-time.Nanosecond)}))
	require.Equal(t, []int64{5}, seqs(registry.EventQuery{Alias: "b", Until: at(101).Add(-1)}))
	require.Equal(t, []int64{11, 10}, seqs(registry.EventQuery{Newest: true, Limit: 2}))
	require.Equal(t, []int64{11, 10, 9}, seqs(registry.EventQuery{Newest: true, After: 8}))
	require.Empty(t, seqs(registry.EventQuery{Newest: true, After: 11}))
	require.Empty(t, seqs(registry.EventQuery{Alias: "c"}))
}
