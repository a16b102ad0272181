package retrain_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train/frame"
)

func TestQuery(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "app.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), `CREATE TABLE customers (id TEXT, seen_at TIMESTAMP, seen_ms INTEGER, spend REAL, visits INTEGER, plan TEXT, churned BOOLEAN);
		INSERT INTO customers VALUES
			('a', '2026-01-01 00:00:00', 1767225600000, 10, 3, 'basic', 0),
			('b', '2026-03-01 00:00:00', 1772323200000, 12.5, 4, NULL, 1),
			('c', '2026-03-02 00:00:00', 1772409600000, NULL, 5, 'gold', 0)`)
	require.NoError(t, err)
	now := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)

	for name, source := range map[string]retrain.Source{
		"time":         retrain.Query(db, `SELECT * FROM customers WHERE seen_at >= ? ORDER BY seen_at`, retrain.Ago(30*24*time.Hour)),
		"milliseconds": retrain.Query(db, `SELECT * FROM customers WHERE seen_ms >= ? ORDER BY seen_ms`, retrain.AgoMilli(30*24*time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			table, err := source.Rows(t.Context(), now)
			require.NoError(t, err)
			require.Equal(t, 2, table.NumRows())
			require.Equal(t, frame.Schema{
				{Name: "id", Kind: frame.String}, {Name: "seen_at", Kind: frame.Time}, {Name: "seen_ms", Kind: frame.Int64},
				{Name: "spend", Kind: frame.Float64}, {Name: "visits", Kind: frame.Int64}, {Name: "plan", Kind: frame.String}, {Name: "churned", Kind: frame.Int64},
			}, table.Schema())
			require.Equal(t, frame.FloatValue(12.5), table.Row(0).Get("spend"))
			require.True(t, table.Row(0).Get("plan").IsNull())
			require.True(t, table.Row(1).Get("spend").IsNull())
			require.Equal(t, frame.TimeValue(1772323200000), table.Row(0).Get("seen_at"))
		})
	}
}

func TestQueryErrors(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "app.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for query, want := range map[string]string{
		`SELECT * FROM nowhere`:                         "no such table",
		`SELECT 1 AS a UNION ALL SELECT 'x' ORDER BY 1`: `column "a": row 2 has a string, rows before it a int64`,
	} {
		_, err := retrain.Query(db, query).Rows(t.Context(), time.Now())
		require.ErrorContains(t, err, "query training rows")
		require.ErrorContains(t, err, want)
	}
}

func TestQueryKinds(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "app.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	table, err := retrain.Query(db, `SELECT 1 AS mixed, CAST('x' AS BLOB) AS bytes, NULL AS empty, ? AS given UNION ALL SELECT 2.5, NULL, NULL, 'a'`, "a").Rows(t.Context(), time.Now())
	require.NoError(t, err)
	require.Equal(t, frame.Schema{
		{Name: "mixed", Kind: frame.Float64}, {Name: "bytes", Kind: frame.String}, {Name: "empty", Kind: frame.Float64}, {Name: "given", Kind: frame.String},
	}, table.Schema())
	require.Equal(t, frame.FloatValue(1), table.Row(0).Get("mixed"))
}
