package retrainsql_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking"
)

// TestCollect lets everything in a database grow old, and collects while writers
// put the same contents again: all that is named loads, the rest is gone.
func TestCollect(t *testing.T) {
	for _, dialect := range []string{"sqlite", "postgresql"} {
		t.Run(dialect, func(t *testing.T) { checkCollect(t, newPlace(t, dialect)) })
	}
}

func checkCollect(t *testing.T, p place) {
	ctx, s := t.Context(), p.open(t)
	require.NoError(t, s.Engine.Launch(ctx))
	for n := range 4 {
		require.NoError(t, write(ctx, t, s, n))
	}
	models := registry.New(s.Registry, s.Artifacts, &registry.Options{Actor: "test"})
	for i := range 20 { // bundles that no version names
		_, err := models.Put(ctx, registrytest.Bundle(t, fmt.Sprint("orphan ", i)))
		require.NoError(t, err)
	}
	require.NoError(t, models.SetState(ctx, "churn", 4, registry.Candidate, registry.Rejected, registry.Change{}))
	old := time.Now().Add(-48 * time.Hour).UnixMilli()
	db, err := sqlstore.Open(ctx, p.url, &sqlstore.Options{Prefix: p.opts.Prefix, Schema: p.opts.Schema})
	require.NoError(t, err)
	n, err := db.Exec(ctx, `UPDATE {p}artifact_blob SET modified_at = ?`, old)
	require.NoError(t, err)
	require.Greater(t, n, int64(40))
	require.NoError(t, db.Close())

	var wg sync.WaitGroup
	again := make([]registry.Version, 10)
	wg.Go(func() {
		for i := range again { // every second orphan finds a name after all
			v, err := models.Register(context.Background(), "churn", registrytest.Bundle(t, fmt.Sprint("orphan ", 2*i)), nil)
			if assert.NoError(t, err) {
				again[i] = v
			}
		}
	})
	var report retrain.CollectReport
	for range 3 {
		r, err := s.Collect(ctx, &retrain.CollectOptions{Rejected: time.Hour, Now: time.Now().Add(2 * time.Hour)})
		require.NoError(t, err)
		report.Artifacts, report.Bundles = report.Artifacts+r.Artifacts, report.Bundles+r.Bundles
	}
	wg.Wait()
	require.Equal(t, 1, report.Bundles)
	require.GreaterOrEqual(t, report.Artifacts, int64(22), "ten orphans and the rejected one, of two files each")
	checkCollected(t, s, models)
}

// checkCollected finds everything that has a name, and version 4 archived.
func checkCollected(t *testing.T, s *retrain.Stores, models *registry.Client) {
	ctx := t.Context()
	for v, err := range models.Versions(ctx, "churn") {
		require.NoError(t, err)
		_, _, err = models.Load(ctx, registry.VersionRef("churn", v.Number))
		if v.Number == 4 {
			require.ErrorIs(t, err, registry.ErrCorrupt)
			require.Equal(t, registry.Archived, v.State)
			continue
		}
		require.NoError(t, err, "%d", v.Number)
	}
	runs, _, err := s.Tracking.Runs(ctx, tracking.RunQuery{})
	require.NoError(t, err)
	for _, r := range runs {
		_, err := s.Artifacts.Stat(ctx, r.Artifacts[0].Digest)
		require.NoError(t, err)
	}
	require.NoError(t, models.VerifyAudit(ctx, "churn", nil))
}

// TestRestoredFitBeginsAnew backs up while a fit is under way: in the restored
// database its workflow is unknown, and starts.
func TestRestoredFitBeginsAnew(t *testing.T) {
	from, to := newPlace(t, "sqlite"), newPlace(t, "sqlite")
	dir := t.TempDir() + "/backup"
	s := from.open(t)
	require.NoError(t, s.Engine.Register("fit", func(ctx context.Context, _ retrain.Steps, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	require.NoError(t, s.Engine.Launch(t.Context()))
	require.NoError(t, s.Engine.Start(t.Context(), "fit", "1", nil))
	_, err := s.Backup(t.Context(), dir)
	require.NoError(t, err)
	_, err = retrainsql.Restore(t.Context(), to.url, dir, nil)
	require.NoError(t, err)
	r := to.open(t)
	require.NoError(t, r.Engine.Register("fit", func(context.Context, retrain.Steps, []byte) ([]byte, error) { return []byte("done"), nil }))
	require.NoError(t, r.Engine.Launch(t.Context()))
	_, err = r.Engine.Result(t.Context(), "1")
	require.ErrorIs(t, err, retrain.ErrNotFound)
	require.NoError(t, r.Engine.Start(t.Context(), "fit", "1", nil))
	result, err := r.Engine.Wait(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "done", string(result.Output))
}
