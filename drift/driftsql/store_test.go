package driftsql_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/drift/drifttest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
)

// fast is a URL of a new file that need not survive a power cut.
func fast(t *testing.T) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "d.db") + "?synchronous=normal"
}

func openAt(t *testing.T, url string) *driftsql.Store {
	s, err := driftsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) {
	sqltest.Each(t, driftsql.Schema(), func(t *testing.T, open sqltest.Open) {
		drifttest.Run(t, func(t *testing.T) drift.Store { return driftsql.New(open(t)) })
	})
}

func TestStoreInTheServicesTransaction(t *testing.T) {
	sqltest.EachTx(t, driftsql.Schema(), func(t *testing.T, open sqltest.Open) {
		drifttest.RunAlone(t, func(t *testing.T) drift.Store { return driftsql.New(open(t)) })
	})
}

// What is saved inside the service's transaction is there when it commits, and
// not when it rolls back.
func TestWithTx(t *testing.T) {
	sqltest.Each(t, driftsql.Schema(), func(t *testing.T, open sqltest.Open) {
		db := open(t)
		s := driftsql.New(db)
		for i, commit := range []bool{false, true} {
			tx, err := db.Pool().BeginTx(t.Context(), nil)
			require.NoError(t, err)
			drifttest.Fire(t, s.WithTx(tx), "m", time.UnixMilli(5), "x")
			if commit {
				require.NoError(t, tx.Commit())
			} else {
				require.NoError(t, tx.Rollback())
			}
			got, err := s.Alerts(t.Context(), drift.AlertQuery{Model: "m"})
			require.NoError(t, err)
			require.Len(t, got, i)
		}
	})
}

func TestReopenedStoreHasEverything(t *testing.T) {
	url := fast(t)
	s, err := driftsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	a := drifttest.Fire(t, s, "m", time.UnixMilli(5).UTC(), "x")
	require.NoError(t, s.Close())
	got := drifttest.RequireAlert(t, openAt(t, url), "m", "x")
	require.True(t, a.Equal(got), "%+v", got)
	require.Positive(t, got.Seq)
}

func TestErrorsSayWhatToDo(t *testing.T) {
	ctx := t.Context()
	s, err := driftsql.Open(ctx, fast(t), nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Save(ctx, drift.Checkpoint{Model: "m", Rev: 1}, nil), drift.ErrClosed)
	_, err = s.Checkpoint(ctx, "m")
	require.ErrorIs(t, err, drift.ErrClosed)
	_, err = s.Alerts(ctx, drift.AlertQuery{Model: "m", FiringOnly: true})
	require.ErrorIs(t, err, drift.ErrClosed)

	_, err = driftsql.Open(ctx, "mysql://x", nil)
	require.ErrorIs(t, err, drift.ErrUnsupported)
	require.ErrorContains(t, err, "driftsql: ")
	err = driftsql.New(sqlstore.New(nil, "oracle", nil)).Migrate(ctx)
	require.ErrorIs(t, err, drift.ErrUnsupported)
	require.ErrorContains(t, err, "driftsql: migrate: ")
}

// A loop's step asks for what is firing and for what is new: both are found by
// an index, however many alerts there were.
func TestAlertsAreFoundByAnIndex(t *testing.T) {
	db := sqltest.SQLite(t)
	require.NoError(t, driftsql.New(db).Migrate(t.Context()))
	for where, index := range map[string]string{
		"":                         "mlloop_drift_alert_seq (model=? AND seq>?)",
		" AND resolved_at IS NULL": "mlloop_drift_alert_firing (model=? AND seq>?)",
	} {
		var id, parent, unused int
		var plan string
		err := db.QueryRow(t.Context(), `EXPLAIN QUERY PLAN SELECT id FROM {p}drift_alert WHERE model = ? AND seq > ?`+where+` ORDER BY seq LIMIT ?`, "m", 5, 9).
			Scan(&id, &parent, &unused, &plan)
		require.NoError(t, err)
		require.Contains(t, plan, index)
	}
}

func TestMigrationsCanBeReviewed(t *testing.T) {
	for _, dialect := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.PostgreSQL} {
		steps, err := driftsql.Schema().Migrations(dialect, &sqlstore.Options{Prefix: "x_"})
		require.NoError(t, err)
		require.Contains(t, steps[0].SQL, "CREATE TABLE x_drift_alert")
		require.NotContains(t, steps[0].SQL, "{")
	}
}

// Whose database it is, closes it.
func TestCloseLeavesTheDatabaseOfNewOpen(t *testing.T) {
	db := sqltest.SQLite(t)
	s := driftsql.New(db)
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.Close())
	require.NoError(t, driftsql.New(db).Migrate(t.Context()))
}
