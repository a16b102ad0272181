package retrain_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the "pgx" driver
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
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

// TestQueriesOfPostgreSQL reads what a service's tables there are often made of.
func TestQueriesOfPostgreSQL(t *testing.T) {
	db, err := sql.Open("pgx", pgtest.URL(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	conn := `"` + pgtest.Schema(t) + `"`
	for _, statement := range []string{
		`CREATE SCHEMA IF NOT EXISTS ` + conn,
		`CREATE TABLE ` + conn + `.customers (id bigint, plan varchar(8), spend numeric(10,2), quota numeric, vip boolean, score real, seen_at timestamptz, churned numeric(1))`,
		`INSERT INTO ` + conn + `.customers VALUES (1, 'basic', 10, 1, true, 0.5, '2026-03-01T00:00:00Z', 0), (2, NULL, 12.5, 0.25, false, NULL, '2026-03-02T00:00:00Z', 1)`,
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	now := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	table, err := retrain.Query(db, `SELECT * FROM `+conn+`.customers WHERE seen_at >= $1 ORDER BY id`, retrain.Ago(30*24*time.Hour)).Rows(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, frame.Schema{
		{Name: "id", Kind: frame.Int64}, {Name: "plan", Kind: frame.String}, {Name: "spend", Kind: frame.Float64}, {Name: "quota", Kind: frame.Float64},
		{Name: "vip", Kind: frame.Bool}, {Name: "score", Kind: frame.Float64}, {Name: "seen_at", Kind: frame.Time}, {Name: "churned", Kind: frame.Int64},
	}, table.Schema())
	require.Equal(t, frame.FloatValue(12.5), table.Row(1).Get("spend"))
	require.Equal(t, frame.FloatValue(1), table.Row(0).Get("quota"))

	var labels []retrain.KnownLabel
	err = retrain.LabelQuery(db, `SELECT id::text, churned, seen_at FROM `+conn+`.customers WHERE seen_at > $1 ORDER BY id`, retrain.Since{}).
		Labels(t.Context(), now.AddDate(0, -1, 0), func(k retrain.KnownLabel) error {
			labels = append(labels, k)
			return nil
		})
	require.NoError(t, err)
	require.Len(t, labels, 2)
	require.Equal(t, frame.IntValue(1), labels[1].Value, "a label is the value that the model learned")
}
