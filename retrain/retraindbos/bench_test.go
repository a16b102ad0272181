package retraindbos_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/sqlstore"
)

// BenchmarkWorkflow runs workflows of four steps one after the other, and in each
// round as many on DBOS alone, in the same database. ratio is the engine's
// workflows a second over those of DBOS.
func BenchmarkWorkflow(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		db, err := sqlstore.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "engine.db")+"?synchronous=normal", nil)
		require.NoError(b, err)
		defer db.Close()
		benchmark(b, db, nil, dbos.Config{SQLiteSystemDB: db.Pool()})
	})
	b.Run("postgresql", func(b *testing.B) {
		db, err := sqlstore.Open(b.Context(), pgtest.URL(b), nil)
		require.NoError(b, err)
		defer db.Close()
		pool, err := pgxpool.New(b.Context(), pgtest.URL(b))
		require.NoError(b, err)
		schema := pgtest.Schema(b)
		benchmark(b, db, &retraindbos.Options{Schema: schema}, dbos.Config{SystemDBPool: pool, DatabaseSchema: schema})
	})
}

func benchmark(b *testing.B, db *sqlstore.DB, o *retraindbos.Options, config dbos.Config) {
	e := retraindbos.New(db, o)
	require.NoError(b, e.Register("four", fourSteps))
	require.NoError(b, e.Launch(b.Context()))
	defer e.Close(b.Context())
	config.Logger = slog.New(slog.DiscardHandler)
	config.AppName, config.ExecutorID, config.ApplicationVersion = "bench", "bench", "bench"
	alone, err := dbos.NewContext(b.Context(), config)
	require.NoError(b, err)
	dbos.RegisterWorkflow(alone, fourDBOS)
	require.NoError(b, dbos.Launch(alone))
	defer dbos.Shutdown(alone, time.Second)
	var ours, theirs time.Duration
	n := 0
	for b.Loop() {
		n++
		begin := time.Now()
		id := fmt.Sprintf("bench/%d", n)
		require.NoError(b, e.Start(b.Context(), "four", id, []byte("input")))
		r, err := e.Wait(b.Context(), id)
		require.NoError(b, err)
		require.NoError(b, r.Err)
		ours += time.Since(begin)
		begin = time.Now()
		handle, err := dbos.RunWorkflow(alone, fourDBOS, []byte("input"))
		require.NoError(b, err)
		_, err = handle.GetResult()
		require.NoError(b, err)
		theirs += time.Since(begin)
	}
	b.ReportMetric(float64(n)/ours.Seconds(), "workflows/s")
	b.ReportMetric(float64(n)/theirs.Seconds(), "dbos-workflows/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
}

func fourSteps(ctx context.Context, steps retrain.Steps, input []byte) (out []byte, err error) {
	for i := 0; i < 4 && err == nil; i++ {
		out, err = steps.Do(ctx, fmt.Sprintf("step%d", i), func(context.Context) ([]byte, error) { return input, nil }, nil)
	}
	return out, err
}

func fourDBOS(ctx dbos.Context, input []byte) (out []byte, err error) {
	for i := 0; i < 4 && err == nil; i++ {
		out, err = dbos.RunAsStep(ctx, func(context.Context) ([]byte, error) { return input, nil }, dbos.WithStepName(fmt.Sprintf("step%d", i)))
	}
	return out, err
}
