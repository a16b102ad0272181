package drift_test

import (
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
