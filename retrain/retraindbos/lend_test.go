package retraindbos_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/sqlstore"
)

// TestTheServicesPoolStaysOpen runs and closes an engine on a pool of the
// service's own, which goes on using it.
func TestTheServicesPoolStaysOpen(t *testing.T) {
	for _, conns := range []int{2, 8} {
		pool, err := sql.Open("sqlite", sqltest.ServiceURL(filepath.Join(t.TempDir(), "service.db")))
		require.NoError(t, err)
		pool.SetMaxOpenConns(conns)
		for life := range 2 {
			e := retraindbos.New(sqlstore.New(pool, sqlstore.SQLite, nil), nil)
			require.NoError(t, e.Register("double", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
				return steps.Do(ctx, "double", func(context.Context) ([]byte, error) { return append(input, input...), nil }, nil)
			}))
			require.NoError(t, e.Launch(t.Context()))
			id := string(rune('a' + life))
			require.NoError(t, e.Start(t.Context(), "double", id, []byte("x")))
			result, err := e.Wait(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, "xx", string(result.Output))
			require.NoError(t, e.Close(t.Context()))
			require.NoError(t, pool.Ping(), "Close leaves the service's pool open")
		}
		require.Zero(t, pool.Stats().InUse, "every connection was given back")
		require.NoError(t, pool.Close())
	}
}
