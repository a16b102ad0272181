package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
)

// TestPostgreSQL replays some rows on PostgreSQL in two parts, and at once on
// SQLite: the figures are the same.
func TestPostgreSQL(t *testing.T) {
	db, schema := pgtest.URL(t), pgtest.Schema(t)
	_, _, err := runExample(t, "-rows", "700", "-json", "-db", db, "-schema", schema)
	require.NoError(t, err)
	parts, _, err := runExample(t, "-rows", "1400", "-json", "-db", db, "-schema", schema)
	require.NoError(t, err)
	whole, _, err := runExample(t, "-rows", "1400", "-json", "-dir", t.TempDir())
	require.NoError(t, err)
	var got, want map[string]any
	require.NoError(t, json.Unmarshal([]byte(parts), &got))
	require.NoError(t, json.Unmarshal([]byte(whole), &want))
	for _, key := range keys {
		if key != "seconds" && key != "peak_rss_mb" {
			require.Equal(t, want[key], got[key], key)
		}
	}
	_, _, err = runExample(t, "-rows", "1400", "-json", "-db", db, "-schema", schema, "-seed", "2")
	require.ErrorContains(t, err, "another -dir, -db or -schema")
	table, _, err := runExample(t, "-rows", "1400", "-db", db, "-schema", schema)
	require.NoError(t, err)
	require.Contains(t, table, "schema "+schema)
	require.Contains(t, table, "psql ")
}
