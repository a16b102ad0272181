package registrysql_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// BenchmarkResolve resolves an alias whose version the Client has seen before.
// The named baseline is a prepared read of the version's row by its key, through
// the same driver: the metric resolve/row says how many times its time a warm
// Resolve takes.
func BenchmarkResolve(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		benchmarkResolve(b, "sqlite:"+filepath.Join(b.TempDir(), "r.db"), nil)
	})
	b.Run("postgresql", func(b *testing.B) {
		benchmarkResolve(b, pgtest.URL(b), &sqlstore.Options{Schema: pgtest.Schema(b)})
	})
}

func benchmarkResolve(b *testing.B, url string, opts *sqlstore.Options) {
	db, err := sqlstore.Open(b.Context(), url, opts)
	require.NoError(b, err)
	defer db.Close()
	store := registrysql.New(db)
	require.NoError(b, store.Migrate(b.Context()))
	models := registry.New(store, artifact.Memory(), nil)
	v, err := models.Register(b.Context(), "m", registrytest.Bundle(b, "1"), nil)
	require.NoError(b, err)
	_, err = models.Promote(b.Context(), "m", 1, 0, registry.Change{})
	require.NoError(b, err)
	query := `SELECT digest, state FROM ` + db.Prefix() + `registry_version WHERE model = ? AND number = ?`
	if db.Schema() != "" {
		query = `SELECT digest, state FROM ` + db.Schema() + `.` + db.Prefix() + `registry_version WHERE model = $1 AND number = $2`
	}
	row, err := db.Pool().PrepareContext(b.Context(), query)
	require.NoError(b, err)
	defer row.Close()
	var baseline time.Duration
	for b.Loop() {
		_, err := models.Resolve(b.Context(), "m@champion")
		require.NoError(b, err)
		b.StopTimer()
		start := time.Now()
		var digest, state string
		require.NoError(b, row.QueryRowContext(b.Context(), v.ModelID, 1).Scan(&digest, &state))
		baseline += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/baseline.Seconds(), "resolve/row")
}
