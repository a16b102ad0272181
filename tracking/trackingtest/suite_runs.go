package trackingtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
)

func experiments(t *testing.T, s tracking.Store) {
	es, err := s.Experiments(t.Context())
	require.NoError(t, err)
	require.Empty(t, es)
	a := tracking.Experiment{ID: "2", Name: "a", CreatedAt: at(5)}
	b := tracking.Experiment{ID: "1", Name: "b", CreatedAt: at(3)}
	capital := tracking.Experiment{ID: "3", Name: "A", CreatedAt: at(4)}
	for _, e := range []tracking.Experiment{b, a, capital} {
		require.NoError(t, s.CreateExperiment(t.Context(), e))
	}
	got, err := s.Experiment(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, a, got)
	es, err = s.Experiments(t.Context())
	require.NoError(t, err)
	require.Equal(t, []tracking.Experiment{capital, a, b}, es, "by the bytes of the name")

	require.ErrorIs(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: "4", Name: "a"}), fault.AlreadyExists)
	require.ErrorIs(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: "1", Name: "c"}), fault.AlreadyExists)
	_, err = s.Experiment(t.Context(), "c")
	require.ErrorIs(t, err, fault.NotFound)
}

func createRun(t *testing.T, s tracking.Store) {
	r := newRun(t, s, "r")
	require.Equal(t, r, get(t, s, "r").RunInfo)
	require.ErrorIs(t, s.CreateRun(t.Context(), r), fault.AlreadyExists)
	err := s.CreateRun(t.Context(), tracking.RunInfo{ID: "other", ExperimentID: "none", Status: tracking.Running, StartedAt: at(0)})
	require.ErrorIs(t, err, fault.NotFound)
	require.ErrorContains(t, err, "experiment none", "the error says what is missing")

	ended := tracking.RunInfo{ID: "ended", ExperimentID: "e", Status: tracking.Failed, StartedAt: at(1), EndedAt: at(2), Error: "boom", Rev: 77}
	require.NoError(t, s.CreateRun(t.Context(), ended))
	ended.Rev = 1 // the store counts
	require.Equal(t, ended, get(t, s, "ended").RunInfo)
}

func emptyRun(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	r := get(t, s, "r")
	require.NotNil(t, r.Metrics)
	require.NotNil(t, r.Params)
	require.NotNil(t, r.Tags)
	require.Empty(t, r.Metrics)
	require.Empty(t, r.Params)
	require.Empty(t, r.Tags)
	require.Empty(t, r.Inputs)
	require.Empty(t, r.Artifacts)
	require.True(t, r.EndedAt.IsZero())
	points, err := s.MetricHistory(t.Context(), "r", "none")
	require.NoError(t, err)
	require.Empty(t, points)
}

func updateRun(t *testing.T, s tracking.Store) {
	want := newRun(t, s, "r")
	name, none := "new", ""
	change := func(p tracking.RunPatch) {
		t.Helper()
		p.ID = "r"
		got, err := s.UpdateRun(t.Context(), p)
		require.NoError(t, err)
		want.Rev++
		require.Equal(t, want, got)
		require.Equal(t, want, get(t, s, "r").RunInfo)
	}
	want.Name = name
	change(tracking.RunPatch{Name: &name, EndedAt: at(5), Error: "belongs to the status"})
	want.Status, want.EndedAt, want.Error = tracking.Failed, at(9), "out of data"
	change(tracking.RunPatch{Rev: want.Rev, Status: tracking.Failed, EndedAt: at(9), Error: "out of data"})
	want.Name = none
	change(tracking.RunPatch{Rev: want.Rev, Name: &none})
	want.Status, want.EndedAt, want.Error = tracking.Running, time.Time{}, ""
	change(tracking.RunPatch{Rev: want.Rev, Status: tracking.Running}) // the end can be taken back
	change(tracking.RunPatch{})                                        // counts all the same
}

func updateRunOfAnotherRev(t *testing.T, s tracking.Store) {
	r := newRun(t, s, "r")
	name := "new"
	for _, rev := range []int64{2, 100, -1} {
		got, err := s.UpdateRun(t.Context(), tracking.RunPatch{ID: "r", Rev: rev, Name: &name, Status: tracking.Failed, EndedAt: at(9), Error: "boom"})
		require.ErrorIs(t, err, fault.Conflict)
		require.Equal(t, r, got)
		require.Equal(t, r, get(t, s, "r").RunInfo)
	}
}

func unknownRun(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	_, err := s.Run(t.Context(), "none")
	require.ErrorIs(t, err, fault.NotFound)
	_, err = s.UpdateRun(t.Context(), tracking.RunPatch{ID: "none", Rev: 1, Status: tracking.Finished})
	require.ErrorIs(t, err, fault.NotFound)
	require.ErrorIs(t, s.Log(t.Context(), "none", tracking.Batch{Tags: map[string]string{"k": "v"}}), fault.NotFound)
	require.ErrorIs(t, s.Log(t.Context(), "none", tracking.Batch{}), fault.NotFound)
	_, err = s.MetricHistory(t.Context(), "none", "m")
	require.ErrorIs(t, err, fault.NotFound)
}

func text(t *testing.T, s tracking.Store) {
	values := []string{"", " ", "it's \"quoted\"; DROP TABLE x; --", "line\nbreak\ttab", "größe 模型 🚀", "{p}", "%s?$1", strings.Repeat("é", 6000)}
	for i, value := range values {
		id := string(rune('a' + i))
		r := newRun(t, s, id)
		r.Name, r.Status, r.EndedAt, r.Error, r.Rev = value, tracking.Failed, at(1), value, 2
		updated, err := s.UpdateRun(t.Context(), tracking.RunPatch{ID: id, Rev: 1, Name: &value, Status: r.Status, EndedAt: r.EndedAt, Error: value})
		require.NoError(t, err)
		require.Equal(t, r, updated)
		b := tracking.Batch{
			Params: map[string]string{"schlüssel/" + id: value},
			Tags:   map[string]string{"a key: with - all. kinds_": value},
			Inputs: []tracking.Input{{Name: "n" + value, Digest: "d" + value, Context: value, Source: value}},
		}
		log(t, s, id, b)
		got := get(t, s, id)
		require.Equal(t, r, got.RunInfo)
		require.Equal(t, b.Params, got.Params)
		require.Equal(t, b.Tags, got.Tags)
		require.Equal(t, b.Inputs, got.Inputs)
	}
}

func ids(runs []tracking.RunRecord) string {
	var out []string
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

// addRun stores a run of an experiment that exists.
func addRun(t *testing.T, s tracking.Store, id, experiment string, status tracking.Status, started time.Time) {
	t.Helper()
	require.NoError(t, s.CreateRun(t.Context(), tracking.RunInfo{ID: id, ExperimentID: experiment, Status: status, StartedAt: started}))
}

func listRuns(t *testing.T, s tracking.Store, q tracking.RunQuery) string {
	t.Helper()
	runs, next, err := s.Runs(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, next)
	return ids(runs)
}

func runsOrder(t *testing.T, s tracking.Store) {
	require.Empty(t, listRuns(t, s, tracking.RunQuery{}))
	require.NoError(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: "e", Name: "e"}))
	for id, started := range map[string]int64{"a": 2, "b": 1, "c": 2, "d": 3, "B": 2} {
		addRun(t, s, id, "e", tracking.Running, at(started))
	}
	require.Equal(t, "d c a B b", listRuns(t, s, tracking.RunQuery{}))
}

func runsFilter(t *testing.T, s tracking.Store) {
	for _, e := range []string{"e", "f"} {
		require.NoError(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: e, Name: e}))
	}
	addRun(t, s, "a", "e", tracking.Running, at(1))
	addRun(t, s, "b", "e", tracking.Finished, at(2))
	addRun(t, s, "c", "f", tracking.Finished, at(3))
	addRun(t, s, "d", "f", tracking.Failed, at(4))
	log(t, s, "b", tracking.Batch{Tags: map[string]string{"team": "red", "size": "s"}})
	log(t, s, "c", tracking.Batch{Tags: map[string]string{"team": "red", "size": "m"}, Params: map[string]string{"p": "1"}})
	log(t, s, "d", tracking.Batch{Tags: map[string]string{"team": ""}})

	done := []tracking.Status{tracking.Finished}
	tests := []struct {
		q    tracking.RunQuery
		want string
	}{
		{tracking.RunQuery{}, "d c b a"},
		{tracking.RunQuery{ExperimentID: "e"}, "b a"},
		{tracking.RunQuery{ExperimentID: "none"}, ""},
		{tracking.RunQuery{Statuses: done}, "c b"},
		{tracking.RunQuery{Statuses: []tracking.Status{tracking.Failed, tracking.Running}}, "d a"},
		{tracking.RunQuery{Statuses: []tracking.Status{tracking.Killed}}, ""},
		{tracking.RunQuery{Tags: map[string]string{"team": "red"}}, "c b"},
		{tracking.RunQuery{Tags: map[string]string{"team": "red", "size": "m"}}, "c"},
		{tracking.RunQuery{Tags: map[string]string{"team": ""}}, "d"},
		{tracking.RunQuery{Tags: map[string]string{"none": ""}}, ""},
		{tracking.RunQuery{ExperimentID: "e", Statuses: done, Tags: map[string]string{"team": "red"}}, "b"},
	}
	for _, test := range tests {
		require.Equal(t, test.want, listRuns(t, s, test.q), "%+v", test.q)
	}
	runs, _, err := s.Runs(t.Context(), tracking.RunQuery{ExperimentID: "f", Statuses: done})
	require.NoError(t, err)
	require.Equal(t, get(t, s, "c"), runs[0], "a listed run has its data")
}

func runsPages(t *testing.T, s tracking.Store) {
	require.NoError(t, s.CreateExperiment(t.Context(), tracking.Experiment{ID: "e", Name: "e"}))
	for i := range 10 {
		addRun(t, s, string(rune('a'+i)), "e", tracking.Running, at(int64(i/3))) // some start together
	}
	const whole = "j i h g f e d c b a"
	require.Equal(t, whole, listRuns(t, s, tracking.RunQuery{}))
	require.Equal(t, whole, listRuns(t, s, tracking.RunQuery{Limit: 10}), "a full last page has no successor")
	for _, limit := range []int{1, 3, 4, 9} {
		var got []string
		q := tracking.RunQuery{ExperimentID: "e", Limit: limit}
		for {
			runs, next, err := s.Runs(t.Context(), q)
			require.NoError(t, err)
			require.LessOrEqual(t, len(runs), limit)
			got = append(got, ids(runs))
			if next == "" {
				break
			}
			q.Page = next
		}
		require.Equal(t, whole, strings.Join(got, " "), "pages of %d", limit)
	}

	_, next, err := s.Runs(t.Context(), tracking.RunQuery{Limit: 4})
	require.NoError(t, err)
	addRun(t, s, "new", "e", tracking.Running, at(100))
	require.Equal(t, "f e d c b a", listRuns(t, s, tracking.RunQuery{Page: next}), "a new run does not shift the pages")

	_, _, err = s.Runs(t.Context(), tracking.RunQuery{Page: "no token"})
	require.ErrorIs(t, err, fault.Invalid)
}
