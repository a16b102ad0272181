package retrainsql_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/sqlstore"
)

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
		"mysql://root@host/db":                       {fault.Unsupported, "sqlite:PATH"},
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
	p := newPlace(t, "sqlite")
	require.NoError(t, p.open(t).Close(t.Context()))
	db, err := sqlstore.Open(t.Context(), p.url, nil)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `INSERT INTO {p}migration (store, version, name, checksum, applied_at) VALUES ('retrain', 2, '002_later.sql', 'x', 0)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = retrainsql.Open(t.Context(), p.url, nil)
	require.ErrorIs(t, err, fault.Unsupported)
	require.ErrorContains(t, err, "run the newer mlloop, or open another database")
}

// TestPasswordsAreNotTold opens a server that is not there.
func TestPasswordsAreNotTold(t *testing.T) {
	_, err := retrainsql.Open(t.Context(), "postgres://ml:geheim@127.0.0.1:1/loop?connect_timeout=1", nil)
	require.ErrorIs(t, err, fault.Unavailable)
	require.NotContains(t, err.Error(), "geheim")
}
