package retrainsql_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// closer is what all SQL stores are.
type closer interface {
	Migrate(ctx context.Context) error
	Close() error
}

// Stores that share a database leave it open when one of them is closed.
func TestAStoreOfNewLeavesTheDatabaseOpen(t *testing.T) {
	db := sqltest.SQLite(t)
	for _, s := range []closer{trackingsql.New(db), artifactsql.New(db), registrysql.New(db), servesql.New(db), driftsql.New(db), retrainsql.New(db)} {
		require.NoError(t, s.Migrate(t.Context()))
		require.NoError(t, s.Close())
		require.NoError(t, db.Pool().Ping(), "%T", s)
	}
}

// A store that opened its database has the tables, says where an error is from,
// and closes the database.
func TestAStoreOfOpenIsReadyAndClosesTheDatabase(t *testing.T) {
	for name, open := range map[string]func(ctx context.Context, url string, opts *sqlstore.Options) (closer, error){
		"trackingsql": func(ctx context.Context, url string, opts *sqlstore.Options) (closer, error) {
			return trackingsql.Open(ctx, url, opts)
		},
		"artifactsql": func(ctx context.Context, url string, opts *sqlstore.Options) (closer, error) {
			return artifactsql.Open(ctx, url, opts)
		},
		"registrysql": func(ctx context.Context, url string, opts *sqlstore.Options) (closer, error) {
			return registrysql.Open(ctx, url, opts)
		},
		"servesql": func(ctx context.Context, url string, opts *sqlstore.Options) (closer, error) {
			return servesql.Open(ctx, url, opts)
		},
		"driftsql": func(ctx context.Context, url string, opts *sqlstore.Options) (closer, error) {
			return driftsql.Open(ctx, url, opts)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
			s, err := open(t.Context(), url, nil)
			require.NoError(t, err)
			db := sqltest.Reopen(t, url, nil)
			var made int
			require.NoError(t, db.QueryRow(t.Context(), `SELECT COUNT(*) FROM {p}migration`).Scan(&made))
			require.Equal(t, 1, made)
			require.NoError(t, s.Close())
			require.ErrorContains(t, s.Migrate(t.Context()), name+": migrate: ")
			_, err = db.Exec(t.Context(), `UPDATE {p}migration SET checksum = 'other'`)
			require.NoError(t, err)
			_, err = open(t.Context(), url, nil)
			require.ErrorContains(t, err, name+": open "+url+": ")
		})
	}
}
