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

// Columns that no shift makes fire are named, with the numbers; then it is
// shown that they indeed do not fire.
func TestColumnsThatCannotFireAreNamed(t *testing.T) {
	rng, level := rand.New(rand.NewPCG(1, 1)), 0.0
	schema := frame.Schema{{Name: "noise", Kind: frame.Float64}, {Name: "walk", Kind: frame.Float64}, {Name: "empty", Kind: frame.Float64}, {Name: "late", Kind: frame.Float64}}
	row := func(shift float64, late frame.Value) frame.Row {
		level += rng.NormFloat64()
		return frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(rng.NormFloat64()), frame.FloatValue(level + shift), {}, late}}
	}
	rows := make([]frame.Row, 1000)
	for i := range rows {
		rows[i] = row(0, frame.FloatValue(rng.Float64()))
	}
	table, err := frame.FromRows(schema, rows)
	require.NoError(t, err)
	p, err := profile.New(table, nil, nil)
	require.NoError(t, err)
	m, err := drift.New(drift.Config{Model: "m", Version: 3, Reference: p}, nil)
	require.NoError(t, err)

	names := func() (out []string) {
		for _, u := range m.Unwatched() {
			out = append(out, u.Column)
		}
		return out
	}
	require.Equal(t, []string{"walk", "empty"}, names())
	walk := m.Unwatched()[0]
	require.Equal(t, []string{profile.Missing}, walk.Still)
	require.Regexp(t, `^psi alarms above [0-9.e+]+ and reaches at most [0-9.]+; ks alarms above [1-9]\.\d+ and reaches at most 0\.\d+; windows of 125 rows`, walk.Reason)
	require.Contains(t, m.Unwatched()[1].Reason, "no value")

	for range 2000 {
		m.Observe(answered(time.Unix(1, 0), row(1e9, frame.Value{})))
	}
	for _, a := range m.Check(time.Unix(1, 0)) {
		require.NotContains(t, a.ColumnNames(), "walk")
	}
	require.Equal(t, []string{"walk", "empty", "late"}, names())
	require.Equal(t, "none of the 2000 rows so far had a value; 100 % of the reference's have", m.Unwatched()[2].Reason)
}
