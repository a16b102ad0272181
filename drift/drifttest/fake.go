package drifttest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftmem"
)

// New returns an empty store in memory that is closed when the test ends.
func New(t testing.TB) drift.Store {
	t.Helper()
	s := driftmem.New()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Fire stores an alert of the model that names the columns and fires at the
// time, as a monitor would raise it, and returns it, without its Seq. Of the
// model's checkpoint only the Rev rises; without one it makes an empty one.
func Fire(t testing.TB, s drift.Store, model string, at time.Time, columns ...string) drift.Alert {
	t.Helper()
	a := drift.Alert{
		ID: model + " " + at.UTC().Format(time.RFC3339Nano), Model: model, Version: 1,
		Source: drift.FeatureDrift, Severity: drift.Warning, Magnitude: 2.5, Worst: 2.5, FiredAt: at,
	}
	for _, name := range columns {
		a.Columns = append(a.Columns, drift.ColumnFinding{Column: name, Statistic: "psi", Value: 0.5, Threshold: 0.2, PValue: 1e-9})
	}
	c, err := s.Checkpoint(t.Context(), model)
	if err != nil {
		c = drift.Checkpoint{Model: model, Version: 1, At: at}
	}
	c.Rev++
	require.NoError(t, s.Save(t.Context(), c, []drift.Alert{a}))
	return a
}

// RequireAlert fails the test unless an alert of the model, firing or
// resolved, names the column, and returns the first that does.
func RequireAlert(t testing.TB, s drift.Store, model, column string) drift.Alert {
	t.Helper()
	alerts := all(t, s, model)
	for _, a := range alerts {
		if slices.Contains(a.ColumnNames(), column) {
			return a
		}
	}
	require.Fail(t, "no alert", "of %s names %s; there are %v", model, column, named(alerts))
	return drift.Alert{}
}

// RequireNoAlert fails the test if the model has any alert, firing or resolved.
func RequireNoAlert(t testing.TB, s drift.Store, model string) {
	t.Helper()
	require.Empty(t, named(all(t, s, model)), "alerts of %s", model)
}

// all is every alert of the model.
func all(t testing.TB, s drift.Store, model string) (out []drift.Alert) {
	t.Helper()
	for a, err := range drift.AllAlerts(t.Context(), s, drift.AlertQuery{Model: model}) {
		require.NoError(t, err)
		out = append(out, a)
	}
	return out
}

// named is the alerts as a reader of a failed test wants them.
func named(alerts []drift.Alert) (out [][]string) {
	for _, a := range alerts {
		out = append(out, append([]string{a.Source}, a.ColumnNames()...))
	}
	return out
}
