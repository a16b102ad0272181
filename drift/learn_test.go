package drift_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
)

func learning(t testing.TB, opts drift.Options) *drift.Monitor {
	t.Helper()
	m, err := drift.New(drift.Config{Model: "m", Version: 3}, &opts)
	require.NoError(t, err)
	return m
}

// A model made elsewhere brings no profile: its first rows make one.
func TestAMissingReferenceIsLearnedFromTheFirstRows(t *testing.T) {
	m, s, c := learning(t, drift.Options{Learn: 1600}), newSource(2), clock{news: news{}}
	require.Nil(t, m.Reference())
	require.Nil(t, m.Unwatched())
	require.Empty(t, c.feed(m, s, 1000))
	have, want := m.Learning()
	require.Equal(t, []int{1000, 1600}, []int{have, want})
	require.Empty(t, c.feed(m, s, 2000))
	have, want = m.Learning()
	require.Equal(t, []int{0, 0}, []int{have, want})
	require.Equal(t, 1600, m.Reference().Rows())
	require.Equal(t, 200, m.Reference().WindowRows())
	s.shiftA = 2
	changed := c.feed(m, s, 400)
	require.Len(t, changed, 1)
	require.Equal(t, []string{"a"}, changed[0].ColumnNames())
}

func TestLearningByDefault(t *testing.T) {
	_, want := learning(t, drift.Options{}).Learning()
	require.Equal(t, 8*drift.DefaultWindow, want)
	_, want = learning(t, drift.Options{Window: 50}).Learning()
	require.Equal(t, 400, want)
}

// Rows of another shape than the first are learned from as far as they go.
func TestLearningTakesRowsAsTheyCome(t *testing.T) {
	m, s := learning(t, drift.Options{Learn: 100, Window: 10}), newSource(2)
	m.Observe(answered(time.Time{}, frame.Row{})) // nothing in it
	for i := range 100 {
		row := s.row()
		switch i % 4 {
		case 1:
			row.Schema, row.Values = row.Schema[1:], row.Values[1:]
		case 2:
			row.Schema = frame.Schema{{Name: "a", Kind: frame.Int64}, {Name: "new", Kind: frame.Bool}}
			row.Values = []frame.Value{frame.IntValue(3), frame.BoolValue(true)}
		case 3:
			row.Values[3] = frame.StringValue("\xff")
		}
		m.Observe(answered(time.Time{}, row))
	}
	m.Check(time.Unix(1, 0))
	require.EqualValues(t, 1, m.Counts().Unusable)
	require.EqualValues(t, 100, m.Counts().Rows)
	missing := map[string]int64{}
	for _, c := range m.Reference().Columns() {
		missing[c.Name] = c.Missing
	}
	require.Equal(t, map[string]int64{"a": 25, "b": 25, "constant": 25, "plan": 50}, missing)
}

// Saved with events that wait, in the middle of learning and after it, a monitor
// goes on as if nothing had happened.
func TestALearningMonitorCanBeSaved(t *testing.T) {
	run := func(interrupt bool) ([]drift.Alert, string) {
		fresh := func() *drift.Monitor { return learning(t, drift.Options{Learn: 800, WarmUp: 300}) }
		m, when := fresh(), rand.New(rand.NewPCG(6, 6))
		var alerts []drift.Alert
		for i, o := range stream(5, 6000) {
			m.Observe(o)
			if i%31 == 0 {
				alerts = append(alerts, m.Check(o.Time)...)
			}
			if interrupt && when.IntN(100) == 0 {
				b, err := m.MarshalBinary()
				require.NoError(t, err)
				m = fresh()
				require.NoError(t, m.UnmarshalBinary(b))
			}
		}
		b, err := m.MarshalBinary()
		require.NoError(t, err)
		return alerts, string(b)
	}
	alerts, state := run(false)
	require.GreaterOrEqual(t, len(alerts), 4, "or the run shows nothing")
	again, restored := run(true)
	require.Equal(t, alerts, again)
	require.Equal(t, state, restored)
}

func TestALearnedReferenceIsNotAGivenOne(t *testing.T) {
	m, given := learning(t, drift.Options{Learn: 100}), newMonitor(t, drift.Config{}, nil)
	b, err := m.MarshalBinary()
	require.NoError(t, err)
	require.ErrorIs(t, given.UnmarshalBinary(b), drift.ErrConflict)
	b, err = given.MarshalBinary()
	require.NoError(t, err)
	require.ErrorIs(t, m.UnmarshalBinary(b), drift.ErrConflict)
}

// What was adopted before anything was known resolves where the columns are
// not there, and is judged where they are.
func TestAdoptingWhileLearning(t *testing.T) {
	m, s := learning(t, drift.Options{Learn: 400}), newSource(2)
	alert := func(id, column string) drift.Alert {
		return drift.Alert{ID: id, Model: "m", Source: drift.FeatureDrift, FiredAt: time.Unix(1, 0), Columns: []drift.ColumnFinding{{Column: column}}}
	}
	require.Len(t, m.Adopt([]drift.Alert{alert("1", "gone"), alert("2", "a")}), 2)
	for range 400 {
		m.Observe(answered(time.Unix(2, 0), s.row()))
	}
	changed := m.Check(time.Unix(2, 0))
	require.Len(t, changed, 1)
	require.Equal(t, "1", changed[0].ID)
	require.Equal(t, "the reference has no such columns", changed[0].Reason)
	for range 400 {
		m.Observe(answered(time.Unix(3, 0), s.row()))
	}
	changed = m.Check(time.Unix(3, 0))
	require.Len(t, changed, 1)
	require.Equal(t, "2", changed[0].ID)
	require.False(t, changed[0].Firing())
}

func TestStatesOfLearningThatDoNotFitAreRefused(t *testing.T) {
	opts := drift.Options{Window: 5, Learn: 20, WarmUp: 30}
	saved := func(rows, waiting int) string {
		m, s := learning(t, opts), newSource(2)
		for range rows {
			m.Observe(answered(time.Unix(1, 0), s.row()))
		}
		m.Check(time.Unix(1, 0))
		for range waiting {
			m.Observe(answered(time.Unix(1, 0), s.row()))
		}
		b, err := m.MarshalBinary()
		require.NoError(t, err)
		return string(b)
	}
	for name, c := range map[string]struct{ state, old, with, says string }{
		"no columns":         {saved(9, 0), `"schema":[{`, `"schema":[],"x":[{`, "x"},
		"columns alike":      {saved(9, 0), `"name":"b"`, `"name":"a"`, "both named"},
		"a row of nothing":   {saved(9, 0), `"rows":["`, `"rows":["","`, "row 0 to learn from"},
		"one that waits":     {saved(9, 1), `"values":"`, `"values":"/w==","schema":null,"numbers":"`, "event 0"},
		"waits for numbers":  {saved(9, 1), `"values":"`, `"numbers":"AAAAAAAAAAA=","values":"`, "not the reference's columns"},
		"another reference":  {saved(30, 0), `"reference":"`, `"reference":"0`, "not the one that was learned"},
		"a broken reference": {saved(30, 0), `"profile":{"version":1`, `"profile":{"version":0`, "profile"},
		"learned and not":    {saved(30, 0), `"learn":{`, `"learn":{"rows":["AA=="],`, "not all that was learned"},
	} {
		bad := strings.Replace(c.state, c.old, c.with, 1)
		require.NotEqual(t, c.state, bad, name)
		err := learning(t, opts).UnmarshalBinary([]byte(bad))
		require.ErrorIs(t, err, drift.ErrCorrupt, name)
		require.ErrorContains(t, err, c.says, name)
	}
	require.ErrorIs(t, learning(t, drift.Options{Window: 6, Learn: 20}).UnmarshalBinary([]byte(saved(30, 0))), drift.ErrCorrupt, "windows of another length")
	require.ErrorIs(t, learning(t, drift.Options{Window: 5, Learn: 10}).UnmarshalBinary([]byte(saved(15, 0))), drift.ErrCorrupt, "more rows than it wants to learn from")
}
