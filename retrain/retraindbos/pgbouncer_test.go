package retraindbos_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/sqlstore"
)

// A URL for PgBouncer has pgx prepare nothing, and so not know the types of
// columns: workflows and their results are read all the same.
func TestWithoutPreparedStatements(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe"} {
		url := pgtest.With(t, pgtest.URL(t), "default_query_exec_mode", mode)
		db, err := sqlstore.Open(t.Context(), url, &sqlstore.Options{Schema: pgtest.Schema(t)})
		require.NoError(t, err)
		e := retraindbos.New(db, nil)
		require.NoError(t, e.Register("echo", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
			return steps.Do(ctx, "step", func(context.Context) ([]byte, error) { return input, nil }, nil)
		}))
		ctx := soon(t.Context(), t)
		require.NoError(t, e.Launch(ctx))
		require.NoError(t, e.Start(ctx, "echo", "a/1", []byte("\x00work")))
		r, err := e.Wait(ctx, "a/1")
		require.NoError(t, err, mode)
		require.NoError(t, r.Err, mode)
		require.Equal(t, "\x00work", string(r.Output), mode)
		var listed []retrain.Execution
		for x, err := range e.List(ctx, retrain.ListQuery{}) {
			require.NoError(t, err, mode)
			listed = append(listed, x)
		}
		require.Len(t, listed, 1, mode)
		require.NoError(t, e.Close(ctx))
		require.NoError(t, db.Close())
	}
}
