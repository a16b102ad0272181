package drift_test

import (
	"math/rand/v2"
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
