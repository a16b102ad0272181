package driftsql_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/drift/drifttest"
	"github.com/mlloop/mlloop/internal/fault"
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
	drifttest.Run(t, func(t *testing.T) drift.Store { return openAt(t, fast(t)) })
}

// A service's own pool has its own settings: transactions begin as readers.
func TestStoreOnTheServicesPool(t *testing.T) {
	drifttest.Run(t, func(t *testing.T) drift.Store {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "app.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
		require.NoError(t, err)
		s := driftsql.New(db, driftsql.SQLite, &driftsql.Options{Prefix: "ml_"})
		require.NoError(t, s.Migrate(t.Context()))
		t.Cleanup(func() {
			require.NoError(t, s.Close())
			require.NoError(t, db.Ping(), "Close leaves the service's database open")
			require.NoError(t, db.Close())
		})
		return s
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
	_, err = driftsql.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "no/such/d.db"), nil)
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "create it first")

	garbage := filepath.Join(t.TempDir(), "d.db")
	require.NoError(t, os.WriteFile(garbage, []byte("this is not a database, whatever its name may say, and long enough to be read"), 0o600))
	_, err = driftsql.Open(ctx, "sqlite:"+garbage, nil)
	require.ErrorIs(t, err, drift.ErrCorrupt)

	require.ErrorIs(t, driftsql.New(nil, "oracle", nil).Migrate(ctx), drift.ErrUnsupported)
}

func TestADatabaseOfANewerReleaseIsRefused(t *testing.T) {
	url := fast(t)
	require.NoError(t, openAt(t, url).Close())
	path, _, _ := strings.Cut(strings.TrimPrefix(url, "sqlite:"), "?")
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Exec(`INSERT INTO mlloop_migration (store, version, name, checksum, applied_at) VALUES ('drift', 2, 'x', 'x', 0)`)
	require.NoError(t, err)
	_, err = driftsql.Open(t.Context(), url, nil)
	require.ErrorIs(t, err, drift.ErrUnsupported)
	require.ErrorContains(t, err, "run the newer mlloop")
}

// A loop's step asks for what is firing and for what is new: both are found by
// an index, however many alerts there were.
func TestAlertsAreFoundByAnIndex(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "app.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, driftsql.New(db, driftsql.SQLite, nil).Migrate(t.Context()))
	for where, index := range map[string]string{
		"":                         "mlloop_drift_alert_seq (model=? AND seq>?)",
		" AND resolved_at IS NULL": "mlloop_drift_alert_firing (model=? AND seq>?)",
	} {
		var id, parent, unused int
		var plan string
		err := db.QueryRow(`EXPLAIN QUERY PLAN SELECT id FROM mlloop_drift_alert WHERE model = ? AND seq > ?`+where+` ORDER BY seq LIMIT ?`, "m", 5, 9).
			Scan(&id, &parent, &unused, &plan)
		require.NoError(t, err)
		require.Contains(t, plan, index)
	}
}

func TestMigrationsCanBeReviewed(t *testing.T) {
	steps, err := driftsql.Migrations(&driftsql.Options{Prefix: "x_"})
	require.NoError(t, err)
	require.Contains(t, steps[0].SQL, "CREATE TABLE x_drift_alert")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "app.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Exec(steps[0].SQL)
	require.NoError(t, err)
	require.NoError(t, driftsql.New(db, driftsql.SQLite, &driftsql.Options{Prefix: "x_"}).Migrate(t.Context()), "nothing is left to do")
	_, err = driftsql.Migrations(&driftsql.Options{Prefix: "1; DROP"})
	require.ErrorIs(t, err, drift.ErrInvalid)
}
