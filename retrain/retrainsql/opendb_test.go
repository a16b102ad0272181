package retrainsql_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the "pgx" driver
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/sqlstore"
)

// servicePool is a service's own pool of two connections on an empty database.
func servicePool(t *testing.T, dialect sqlstore.Dialect) (*sql.DB, *retrainsql.Options) {
	driver, source, opts := "sqlite", sqltest.ServiceURL(filepath.Join(t.TempDir(), "service.db")), &retrainsql.Options{Prefix: "ml_"}
	if dialect == retrainsql.PostgreSQL {
		driver, source, opts.Schema = "pgx", pgtest.URL(t), pgtest.Schema(t)
	}
	pool, err := sql.Open(driver, source)
	require.NoError(t, err)
	pool.SetMaxOpenConns(2)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool, opts
}

// TestOpenDB keeps everything on the service's own pool of two connections:
// records, workflows, garbage, a backup. Closing the stores leaves it open.
func TestOpenDB(t *testing.T) {
	for _, dialect := range []sqlstore.Dialect{retrainsql.SQLite, retrainsql.PostgreSQL} {
		t.Run(string(dialect), func(t *testing.T) {
			pool, opts := servicePool(t, dialect)
			stores, err := retrainsql.OpenDB(t.Context(), pool, dialect, opts)
			require.NoError(t, err)
			require.NoError(t, stores.Engine.Register("echo", func(_ context.Context, _ retrain.Steps, input []byte) ([]byte, error) { return input, nil }))
			require.NoError(t, stores.Engine.Launch(t.Context()))
			for n := range 3 {
				require.NoError(t, write(t.Context(), t, stores, n))
			}
			require.NoError(t, stores.Engine.Start(t.Context(), "echo", "1", []byte("x")))
			result, err := stores.Engine.Wait(t.Context(), "1")
			require.NoError(t, err)
			require.Equal(t, "x", string(result.Output))
			dir := filepath.Join(t.TempDir(), "backup")
			backup, err := stores.Backup(t.Context(), dir)
			require.NoError(t, err)
			_, err = stores.Collect(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, stores.Close(t.Context()))
			require.NoError(t, pool.Ping(), "the pool is the service's")
			require.Zero(t, pool.Stats().InUse)

			other, fresh := servicePool(t, dialect)
			restored, err := retrainsql.RestoreDB(t.Context(), other, dialect, dir, fresh)
			require.NoError(t, err)
			require.Equal(t, backup, restored)
			require.NoError(t, other.Ping())
		})
	}
}

// TestMigrationsByHand runs the printed SQL on an empty database: nothing is
// left to be migrated, and the stores work.
func TestMigrationsByHand(t *testing.T) {
	for _, dialect := range []sqlstore.Dialect{retrainsql.SQLite, retrainsql.PostgreSQL} {
		t.Run(string(dialect), func(t *testing.T) {
			pool, opts := servicePool(t, dialect)
			text, err := retrainsql.Migrations(dialect, opts)
			require.NoError(t, err)
			if opts.Schema != "" {
				_, err := pool.Exec(`CREATE SCHEMA "` + opts.Schema + `"`)
				require.NoError(t, err)
			}
			tx, err := pool.Begin()
			require.NoError(t, err)
			_, err = tx.Exec(text)
			require.NoError(t, err)
			require.NoError(t, tx.Commit())
			stores, err := retrainsql.OpenDB(t.Context(), pool, dialect, opts)
			require.NoError(t, err)
			require.NoError(t, write(t.Context(), t, stores, 0))
			require.NoError(t, stores.Close(t.Context()))
		})
	}
	text, err := retrainsql.Migrations(retrainsql.PostgreSQL, &retrainsql.Options{Prefix: "acme_", Schema: "ml"})
	require.NoError(t, err)
	require.Contains(t, text, `CREATE TABLE "ml".acme_retrain_event`)
	for _, domain := range []string{"tracking", "registry", "serve", "drift", "retrain", "artifact"} {
		require.Contains(t, text, "-- "+domain+": 001_")
	}
	_, err = retrainsql.Migrations("oracle", nil)
	require.ErrorIs(t, err, fault.Unsupported)
	_, err = retrainsql.Migrations(retrainsql.SQLite, &retrainsql.Options{Prefix: "1; DROP"})
	require.ErrorIs(t, err, fault.Invalid)
}
