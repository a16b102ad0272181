package retrainsql_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

func TestStore(t *testing.T) {
	retraintest.RunStore(t, func(t *testing.T) retrain.Store {
		db, dialect, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "loop.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		s := retrainsql.New(db, dialect, nil)
		require.NoError(t, s.Migrate(t.Context()))
		return s
	})
}

func TestPrefix(t *testing.T) {
	steps, err := retrainsql.Migrations(&retrainsql.Options{Prefix: "acme_"})
	require.NoError(t, err)
	require.Contains(t, steps[0].SQL, "CREATE TABLE acme_retrain_event")
	require.NotContains(t, steps[0].SQL, "mlloop_")
}

func TestOpenTwice(t *testing.T) {
	ctx := t.Context()
	url := "sqlite:" + filepath.Join(t.TempDir(), "loop.db")
	stores, err := retrainsql.Open(ctx, url, nil)
	require.NoError(t, err)
	want := retrain.State{Model: "churn", Rev: 1, SteppedAt: at(1), Data: []byte("{}")}
	require.NoError(t, stores.Retrain.PutState(ctx, want))
	require.NoError(t, stores.Engine.Launch(ctx))
	require.NoError(t, stores.Close(ctx))
	stores, err = retrainsql.Open(ctx, url, nil)
	require.NoError(t, err)
	got, err := stores.Retrain.State(ctx, "churn")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, stores.Close(ctx))
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	notADatabase := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(notADatabase, []byte("these are notes, and no database at all, however long they are"), 0o600))
	for url, want := range map[string]struct {
		kind error
		text string
	}{
		"mysql://root@host/db":                       {fault.Unsupported, "use sqlite:PATH"},
		"sqlite:" + filepath.Join(dir, "no", "x.db"): {fault.Unavailable, "does not exist: create it first"},
		"sqlite:" + notADatabase:                     {fault.Corrupt, "no SQLite file"},
		"sqlite:loop.db?cache=shared":                {fault.Invalid, "want synchronous="},
	} {
		_, err := retrainsql.Open(t.Context(), url, nil)
		require.ErrorIs(t, err, want.kind, url)
		require.ErrorContains(t, err, want.text, url)
	}
}

// TestOpenNewerDatabase opens what a later release has migrated.
func TestOpenNewerDatabase(t *testing.T) {
	ctx := context.Background()
	url := "sqlite:" + filepath.Join(t.TempDir(), "loop.db")
	stores, err := retrainsql.Open(ctx, url, nil)
	require.NoError(t, err)
	require.NoError(t, stores.Close(ctx))
	db, _, err := sqldb.Open(ctx, url)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, `INSERT INTO mlloop_migration (store, version, name, checksum, applied_at) VALUES ('retrain', 2, '002_later.sql', 'x', 0)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = retrainsql.Open(ctx, url, nil)
	require.ErrorIs(t, err, fault.Unsupported)
	require.ErrorContains(t, err, "run the newer mlloop, or open another database")
}
