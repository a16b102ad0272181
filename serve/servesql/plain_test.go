package servesql_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// batch returns n predictions of w features, the first with number from.
func batch(from, n, w int) []serve.Prediction {
	schema := make(frame.Schema, w)
	for j := range schema {
		schema[j] = frame.Field{Name: fmt.Sprint("feature_", j), Kind: frame.Float64}
	}
	ps := make([]serve.Prediction, n)
	for i := range ps {
		values := make([]frame.Value, w)
		for j := range values {
			values[j] = frame.FloatValue(float64((from+i)*(j+1)%1000) * 0.01)
		}
		id := fmt.Sprintf("%016x%016x", from+i, uint64(from+i)*0x9e3779b97f4a7c15)
		ps[i] = serve.Prediction{
			ID: id, Model: "electricity", Version: 1, Variant: serve.Primary, Key: id,
			Status: frame.Answered, Time: time.UnixMilli(1_700_000_000_000 + int64(from+i)), Features: frame.Row{Schema: schema, Values: values},
			Outputs: frame.Row{Schema: outputs, Values: []frame.Value{
				frame.StringValue("UP"), frame.FloatValue(0.3), frame.FloatValue(0.7),
			}},
			Propensity: 1, Latency: time.Microsecond,
		}
		ps[i].Digest = serve.Digest(ps[i].Features)
	}
	return ps
}

// newest returns the n latest records of a table as the driver reads them.
func newest(b *testing.B, db *sql.DB, table string, n int) (columns []string, records [][]any) {
	rows, err := db.Query(fmt.Sprintf(`SELECT * FROM %s ORDER BY seq DESC LIMIT %d`, table, n))
	require.NoError(b, err)
	defer rows.Close()
	columns, err = rows.Columns()
	require.NoError(b, err)
	for rows.Next() {
		record, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range record {
			dest[i] = &record[i]
		}
		require.NoError(b, rows.Scan(dest...))
		records = append(records, record)
	}
	return columns, records
}

// plain inserts records as a service would by hand: a prepared statement, one
// transaction.
func plain(b *testing.B, stmt *sql.Stmt, db *sql.DB, records [][]any) {
	tx, err := db.Begin()
	require.NoError(b, err)
	insert := tx.Stmt(stmt)
	for i := len(records) - 1; i >= 0; i-- {
		_, err := insert.Exec(records[i]...)
		require.NoError(b, err)
	}
	require.NoError(b, tx.Commit())
}

func BenchmarkPlain(b *testing.B) {
	for _, w := range []int{6, 30} {
		b.Run(fmt.Sprint(w), func(b *testing.B) {
			const rows = 512
			path := filepath.Join(b.TempDir(), "serve.db")
			s := open(b, path)
			look := pool(b, path)
			other := filepath.Join(b.TempDir(), "plain.db")
			open(b, other)
			bare, err := sql.Open("sqlite", "file:"+other+"?_pragma=synchronous(normal)&_txlock=immediate")
			require.NoError(b, err)
			var spent, byHand, lspent, lbyHand time.Duration
			n := 0
			var stmt, lstmt *sql.Stmt
			for b.Loop() {
				ps := batch(n*rows, rows, w)
				began := time.Now()
				require.NoError(b, s.AppendPredictions(context.Background(), ps))
				spent += time.Since(began)
				columns, records := newest(b, look, "mlloop_serve_prediction", rows)
				if stmt == nil {
					stmt, err = bare.Prepare(`INSERT INTO mlloop_serve_prediction (` + strings.Join(columns, ",") + `) VALUES (?` + strings.Repeat(",?", len(columns)-1) + `)`)
					require.NoError(b, err)
				}
				began = time.Now()
				plain(b, stmt, bare, records)
				byHand += time.Since(began)
				ls := labelsOf(ps)
				began = time.Now()
				_, err := s.AppendLabels(context.Background(), ls)
				require.NoError(b, err)
				lspent += time.Since(began)
				columns, records = newest(b, look, "mlloop_serve_label", rows)
				if lstmt == nil {
					lstmt, err = bare.Prepare(`INSERT INTO mlloop_serve_label (` + strings.Join(columns, ",") + `) VALUES (?` + strings.Repeat(",?", len(columns)-1) + `)`)
					require.NoError(b, err)
				}
				began = time.Now()
				plain(b, lstmt, bare, records)
				lbyHand += time.Since(began)
				n++
			}
			per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(n*rows) }
			b.ReportMetric(per(spent), "µs/row")
			b.ReportMetric(float64(byHand)/float64(spent), "x/plain")
			b.ReportMetric(per(lspent), "µs/label")
			b.ReportMetric(float64(lbyHand)/float64(lspent), "x/plainlabel")
		})
	}
}
