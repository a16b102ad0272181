package retrainsql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/sqlstore"
)

// TestMigrationsByAnAdministrator makes all tables, the engine's too, for a role
// that may make neither schema nor table, in the words of docs/postgresql.md.
func TestMigrationsByAnAdministrator(t *testing.T) {
	server := pgtest.StartServer(t)
	owner, err := sqlstore.Open(t.Context(), server.URL, nil)
	require.NoError(t, err)
	defer owner.Close()
	opts := &retrainsql.Options{Schema: "ml"}
	tables, err := retrainsql.Migrations(retrainsql.PostgreSQL, opts)
	require.NoError(t, err)
	engine, err := retrainsql.EngineMigrations(opts, "service")
	require.NoError(t, err)
	run := func(statement string) {
		_, err := owner.Pool().ExecContext(t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, statement)
	}
	run(`CREATE ROLE service LOGIN PASSWORD '` + pgtest.Password + `'`)
	run(`CREATE SCHEMA ml`)
	run(tables)
	run(`GRANT USAGE ON SCHEMA ml TO service`)
	run(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ml TO service`)

	stores, err := retrainsql.Open(t.Context(), strings.Replace(server.URL, "//mlloop:", "//service:", 1), opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, stores.Close(context.Background())) }()
	require.NoError(t, stores.Engine.Register("echo", func(_ context.Context, _ retrain.Steps, input []byte) ([]byte, error) { return input, nil }))
	require.ErrorIs(t, stores.Engine.Launch(t.Context()), fault.Denied)
	for _, statement := range engine {
		run(statement)
	}
	require.NoError(t, stores.Engine.Launch(t.Context()))
	require.NoError(t, stores.Engine.Start(t.Context(), "echo", "1", []byte("x")))
	result, err := stores.Engine.Wait(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "x", string(result.Output))
	require.NoError(t, write(t.Context(), t, stores, 0))

	_, err = retrainsql.EngineMigrations(&retrainsql.Options{Prefix: "1; DROP"}, "")
	require.ErrorIs(t, err, fault.Invalid)
}
