package retrain_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// TestMovedByBackups takes a loop from database to database every day, by a
// backup and a restore, from SQLite to PostgreSQL and back where there is one:
// the events and the route are those of a loop that stayed where it was.
func TestMovedByBackups(t *testing.T) {
	t.Parallel()
	s := newStream(t, 32*rowsADay, never)
	alone := newWorld(t, s, nil)
	alone.start(20 * rowsADay)
	alone.run(retrainable)
	require.NoError(t, alone.loop.Retrain(t.Context(), "a person asked"))
	alone.run(31 * rowsADay)

	url := func(day int) (string, *retrainsql.Options) {
		if day%2 == 1 && os.Getenv(pgtest.Variable) != "" {
			return pgtest.URL(t), &retrainsql.Options{Schema: pgtest.Schema(t)}
		}
		return "sqlite:" + filepath.Join(t.TempDir(), "loop.db") + "?synchronous=normal", nil
	}
	open := func(url string, opts *retrainsql.Options) *retrain.Stores {
		stores, err := retrainsql.Open(t.Context(), url, opts)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, stores.Close(context.Background())) })
		return stores
	}
	stores := open(url(0))
	w := newWorldOn(t, s, stores, nil)
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	for day := retrainable / rowsADay; day < 31; day++ {
		w.runDays(1)
		require.NoError(t, w.loop.Server().Flush(t.Context()))
		dir := filepath.Join(t.TempDir(), "backup")
		_, err := stores.Backup(t.Context(), dir)
		require.NoError(t, err)
		to, opts := url(day)
		_, err = retrainsql.Restore(t.Context(), to, dir, opts)
		require.NoError(t, err)
		stores = open(to, opts)
		next := newWorldOn(t, s, stores, nil)
		next.from(w.row)
		next.told = w.told
		_, err = next.loop.Open(t.Context())
		require.NoError(t, err)
		w = next
	}
	require.Equal(t, alone.kinds(), w.kinds())
	require.Equal(t, alone.route(), w.route())
	retraintest.RequirePromoted(t, w.loop, 2)
}
