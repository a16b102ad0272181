package drift_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// TestAdopt hands a firing alert to the monitor of a new version and checks
// that it goes on, survives a restart and does not fire again.
func TestAdopt(t *testing.T) {
	reference := adoptReference(t)
	newMonitor := func(version int64) *drift.Monitor {
		m, err := drift.New(drift.Config{Model: "m", Version: version, Reference: reference}, nil)
		require.NoError(t, err)
		return m
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first := newMonitor(1)
	var fired []drift.Alert
	told := news{}
	for i := range 1000 {
		first.Observe(answeredBy(1, now.Add(time.Duration(i)*time.Minute), adoptRow(9)))
		fired = append(fired, told.of(first.Check(now))...)
	}
	require.Len(t, fired, 1)

	second := newMonitor(2)
	others := []drift.Alert{fired[0], {ID: "e", Model: "m", Source: drift.ErrorDrift}, {ID: "x", Model: "m", Source: drift.FeatureDrift, Columns: []drift.ColumnFinding{{Column: "gone"}}}}
	taken := second.Adopt(others)
	require.Len(t, taken, 1)
	require.Equal(t, fired[0].ID, taken[0].ID)

	state, err := second.MarshalBinary()
	require.NoError(t, err)
	restored := newMonitor(2)
	require.NoError(t, restored.UnmarshalBinary(state))
	for i := range 1000 {
		restored.Observe(answeredBy(2, now.Add(time.Duration(i)*time.Hour), adoptRow(9)))
		require.Empty(t, told.of(restored.Check(now)), "the same drift fires once")
	}
	require.Equal(t, fired[0].ID, restored.Alerts()[0].ID)
}

// The new champion was fitted on rows that have drifted, or on those that have
// and some from before: the alert resolves after as many comparisons as any
// does, and those of a window where that holds rows from before.
func TestAnAdoptedAlertResolvesUnderTheNewReference(t *testing.T) {
	alert := drift.Alert{
		ID: "a", Model: "m", Version: 1, Source: drift.FeatureDrift, FiredAt: time.Unix(1, 0), Magnitude: 3, Worst: 3,
		Columns: []drift.ColumnFinding{{Column: "x", Statistic: "psi", Value: 0.9, Threshold: 0.3}},
	}
	for name, c := range map[string]struct {
		before      int // rows of the reference that have not drifted, of 2,000
		stale       int // rows from before that the monitor sees first
		comparisons int
	}{
		"drifted rows":                       {0, 0, 16},
		"drifted rows, stale rows come late": {0, 50, 16 + 8},
		"half of the rows are from before":   {1000, 0, 16},
	} {
		at := func(drifted bool) frame.Row {
			if drifted {
				return adoptRow(5 + rand.Float64())
			}
			return adoptRow(rand.Float64())
		}
		rows := make([]frame.Row, 2000)
		for i := range rows {
			rows[i] = at(i >= c.before)
		}
		table, err := frame.FromRows(rows[0].Schema, rows)
		require.NoError(t, err)
		p, err := profile.New(table, nil, nil)
		require.NoError(t, err)
		m, err := drift.New(drift.Config{Model: "m", Version: 2, Reference: p}, nil)
		require.NoError(t, err)
		require.Len(t, m.Adopt([]drift.Alert{alert}), 1)
		seen, every := 0, p.WindowRows()/8
		for len(m.Alerts()) > 0 {
			m.Observe(answeredBy(2, time.Unix(int64(seen), 0), at(seen >= c.stale)))
			for _, a := range m.Check(time.Unix(0, 0)) {
				require.Equal(t, "a", a.ID, "%s: the same drift fires once", name)
			}
			seen++
			require.LessOrEqual(t, seen, (c.comparisons+1)*every, name)
		}
		t.Logf("%s: after %d rows, %d comparisons", name, seen, seen/every)
	}
}

func adoptRow(x float64) frame.Row {
	return frame.Row{Schema: frame.Schema{{Name: "x", Kind: frame.Float64}}, Values: []frame.Value{frame.FloatValue(x)}}
}

func adoptReference(t *testing.T) *profile.Profile {
	t.Helper()
	rows := make([]frame.Row, 2000)
	for i := range rows {
		rows[i] = adoptRow(float64(i*7919%2000) / 2000)
	}
	table, err := frame.FromRows(rows[0].Schema, rows)
	require.NoError(t, err)
	p, err := profile.New(table, []string{"x"}, nil)
	require.NoError(t, err)
	return p
}

func answeredBy(version int64, at time.Time, row frame.Row) frame.Observation {
	o := answered(at, row)
	o.Version = version
	return o
}
