package servesql_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

// batchRows is how many predictions the server's log stores at once.
const batchRows = 512

// batch returns predictions of w features of six decimals, the first with number
// from. Their ids rise, as those that the server makes do.
func batch(from, w int) []serve.Prediction {
	schema := make(frame.Schema, w)
	for j := range schema {
		schema[j] = frame.Field{Name: fmt.Sprint("feature_", j), Kind: frame.Float64}
	}
	ps := make([]serve.Prediction, batchRows)
	for i := range ps {
		n := from + i
		values := make([]frame.Value, w)
		for j := range values {
			values[j] = frame.FloatValue(float64(n*(j+7919)%1_000_000) / 1_000_000)
		}
		id := fmt.Sprintf("%016x%016x", n, uint64(n)*0x9e3779b97f4a7c15)
		ps[i] = serve.Prediction{
			ID: id, Model: "electricity", Version: 1, Variant: serve.Primary, Key: id,
			Status: frame.Answered, Time: time.UnixMilli(1_700_000_000_000 + int64(n)), Features: frame.Row{Schema: schema, Values: values},
			Outputs: frame.Row{Schema: outputs, Values: []frame.Value{
				frame.StringValue("UP"), frame.FloatValue(0.3), frame.FloatValue(0.7),
			}},
			Propensity: 1, Latency: time.Microsecond,
		}
		ps[i].Digest = serve.Digest(ps[i].Features)
	}
	return ps
}

// rivals are a store, and a database with the same tables and indexes that is
// written to by hand through the same driver.
type rivals struct {
	store   *servesql.Store
	look    *sqlstore.DB // the store's database once more: reading through it leaves the store's caches alone
	byHand  *sqlstore.DB
	inserts map[string]*sql.Stmt
	n       int

	spent, spentByHand time.Duration
	encoding           time.Duration // the part of spentByHand in which rows become text
}

// againstPlain runs a benchmark on both kinds of database.
func againstPlain(b *testing.B, run func(b *testing.B, r *rivals, w int)) {
	for _, kind := range []string{"sqlite", "postgresql"} {
		for _, w := range []int{6, 30} {
			b.Run(fmt.Sprintf("%s/%d", kind, w), func(b *testing.B) {
				place := func() (url string, opts *sqlstore.Options) {
					if kind == "postgresql" {
						return pgtest.URL(b), &sqlstore.Options{Schema: pgtest.Schema(b)}
					}
					return "sqlite:" + filepath.Join(b.TempDir(), "serve.db") + "?synchronous=normal", nil
				}
				open := func(url string, opts *sqlstore.Options) *sqlstore.DB {
					db, err := sqlstore.Open(b.Context(), url, opts)
					require.NoError(b, err)
					b.Cleanup(func() { require.NoError(b, db.Close()) })
					require.NoError(b, db.Migrate(b.Context(), servesql.Schema()))
					return db
				}
				url, opts := place()
				r := &rivals{store: servesql.New(open(url, opts)), look: open(url, opts), byHand: open(place()), inserts: map[string]*sql.Stmt{}}
				run(b, r, w)
				per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(r.n*batchRows) }
				b.ReportMetric(per(r.spent), "µs/row")
				b.ReportMetric(float64(r.spentByHand)/float64(r.spent), "x/plain")
				b.ReportMetric(float64(r.spentByHand-r.encoding)/float64(r.spent), "x/ready")
			})
		}
	}
}

// table returns a table's name in a database.
func table(db *sqlstore.DB, name string) string {
	if db.Schema() != "" {
		return `"` + db.Schema() + `".` + db.Prefix() + name
	}
	return db.Prefix() + name
}

// newest returns the latest records of a table as the driver reads them.
func newest(b *testing.B, db *sqlstore.DB, name string) (columns []string, records [][]any) {
	rows, err := db.Pool().Query(fmt.Sprintf(`SELECT * FROM %s WHERE model = 1 ORDER BY seq DESC LIMIT %d`, table(db, name), batchRows))
	require.NoError(b, err)
	defer func() { require.NoError(b, rows.Close()) }()
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
	require.NoError(b, rows.Err())
	return columns, records
}

// plain inserts by hand what the store has stored last of ps: a prepared
// statement a row, one transaction. The values of a prediction become text as the
// store has them.
func (r *rivals) plain(b *testing.B, name string, ps []serve.Prediction) time.Duration {
	columns, records := newest(b, r.look, name)
	pool := r.byHand.Pool()
	if r.inserts[name] == nil {
		marks := make([]string, len(columns))
		for i := range marks {
			if marks[i] = "?"; r.byHand.Dialect() == sqlstore.PostgreSQL {
				marks[i] = fmt.Sprint("$", i+1)
			}
		}
		stmt, err := pool.Prepare(`INSERT INTO ` + table(r.byHand, name) + ` (` + strings.Join(columns, ", ") + `) VALUES (` + strings.Join(marks, ", ") + `)`)
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, stmt.Close()) })
		r.inserts[name] = stmt
	}
	features, outputs := slices.Index(columns, "features"), slices.Index(columns, "outputs")
	var buf []byte
	began := time.Now()
	for i := range ps {
		record := records[len(records)-1-i]
		buf = servesql.AppendRow(buf[:0], ps[i].Features)
		record[features] = string(buf)
		buf = servesql.AppendRow(buf[:0], ps[i].Outputs)
		record[outputs] = string(buf)
	}
	r.encoding += time.Since(began)
	tx, err := pool.Begin()
	require.NoError(b, err)
	insert := tx.Stmt(r.inserts[name])
	for i := len(records) - 1; i >= 0; i-- {
		if _, err := insert.Exec(records[i]...); err != nil {
			require.NoError(b, err)
		}
	}
	require.NoError(b, tx.Commit())
	return time.Since(began)
}

// BenchmarkAppendPredictions stores batches as the server's log does. x/plain is
// how many times as many rows a second that is as with prepared inserts of the
// same rows into the same table with the same indexes; x/ready is the same with
// rows that are text already, which the store's are not.
func BenchmarkAppendPredictions(b *testing.B) {
	againstPlain(b, func(b *testing.B, r *rivals, w int) {
		for b.Loop() {
			ps := batch(r.n*batchRows, w)
			began := time.Now()
			require.NoError(b, r.store.AppendPredictions(b.Context(), ps))
			r.spent += time.Since(began)
			r.spentByHand += r.plain(b, "serve_prediction", ps)
			r.n++
		}
	})
}

// BenchmarkAppendLabels is BenchmarkAppendPredictions for the labels of rows that
// were stored before.
func BenchmarkAppendLabels(b *testing.B) {
	againstPlain(b, func(b *testing.B, r *rivals, w int) {
		for n := range b.N {
			require.NoError(b, r.store.AppendPredictions(b.Context(), batch(n*batchRows, w)))
			r.plain(b, "serve_prediction", nil) // both files are as full
		}
		b.ResetTimer()
		for ; r.n < b.N; r.n++ {
			ls := labelsOf(batch(r.n*batchRows, w))
			began := time.Now()
			unknown, err := r.store.AppendLabels(b.Context(), ls)
			r.spent += time.Since(began)
			require.NoError(b, err)
			require.Empty(b, unknown)
			r.spentByHand += r.plain(b, "serve_label", nil)
		}
	})
}
