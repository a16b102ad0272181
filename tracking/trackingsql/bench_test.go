package trackingsql_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
)

// BenchmarkLog writes batches of 1,000 points, and by turns the same points
// with a prepared INSERT in one transaction of database/sql: the baseline.
// ratio is our time by the baseline's; both commit to the disk.
func BenchmarkLog(b *testing.B) {
	for _, keys := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) { benchmarkLog(b, keys) })
	}
}

const batchPoints = 1000

func benchmarkLog(b *testing.B, keys int) {
	ctx := context.Background()
	s := open(b, "sqlite:"+filepath.Join(b.TempDir(), "runs.db"))
	require.NoError(b, s.CreateExperiment(ctx, tracking.Experiment{ID: "e", Name: "e"}))
	const run = "0192f3a40000700080000000000000aa"
	require.NoError(b, s.CreateRun(ctx, tracking.RunInfo{ID: run, ExperimentID: "e", Status: tracking.Running}))
	plain := plainTable(b)

	var ours, baseline time.Duration
	for i := 0; b.Loop(); i++ {
		points := points(i, keys)
		began := time.Now()
		require.NoError(b, s.Log(ctx, run, tracking.Batch{Metrics: points}))
		ours += time.Since(began)

		b.StopTimer()
		began = time.Now()
		insertPlain(b, plain, run, points)
		baseline += time.Since(began)
		b.StartTimer()
	}
	total := float64(b.N * batchPoints)
	b.ReportMetric(total/ours.Seconds(), "points/s")
	b.ReportMetric(total/baseline.Seconds(), "baseline-points/s")
	b.ReportMetric(ours.Seconds()/baseline.Seconds(), "ratio")
	require.NoError(b, s.Close())
}

// points returns the i-th batch.
func points(i, keys int) []tracking.Metric {
	points := make([]tracking.Metric, batchPoints)
	for j := range points {
		n := int64(i*batchPoints + j)
		points[j] = tracking.Metric{
			Key:   fmt.Sprintf("metric_%d", j%keys),
			Value: 1 / float64(n+1),
			Step:  n / int64(keys),
			Time:  time.UnixMilli(1_700_000_000_000 + n),
		}
	}
	return points
}

func plainTable(b *testing.B) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "plain.db")+
		"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate")
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	_, err = db.Exec("CREATE TABLE point (run TEXT, key TEXT, step INTEGER, time INTEGER, value REAL)")
	require.NoError(b, err)
	return db
}

func insertPlain(b *testing.B, db *sql.DB, run string, points []tracking.Metric) {
	tx, err := db.Begin()
	require.NoError(b, err)
	insert, err := tx.Prepare("INSERT INTO point VALUES (?, ?, ?, ?, ?)")
	require.NoError(b, err)
	for _, m := range points {
		_, err := insert.Exec(run, m.Key, m.Step, m.Time.UnixMilli(), m.Value)
		require.NoError(b, err)
	}
	require.NoError(b, insert.Close())
	require.NoError(b, tx.Commit())
}
