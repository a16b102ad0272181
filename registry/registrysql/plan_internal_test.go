package registrysql

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/sqlstore"
)

// Every read walks indexes, and takes its rows in their order: what it costs does
// not grow with the tables.
func TestReadsWalkIndexes(t *testing.T) {
	db := sqltest.SQLite(t)
	require.NoError(t, New(db).Migrate(t.Context()))
	reads := map[string][]any{
		selectAlias: {"m", "champion"}, selectNumber: {"m", 1}, selectNewest: {"m"}, selectVersions: {"m", 5, 2}, selectAliases: {"m", "a", 2},
		selectModels: {"m", 2},
	}
	for _, q := range []registry.EventQuery{{}, {Newest: true}, {Alias: "champion"}, {Alias: "champion", Newest: true, Until: time.Unix(1, 0)}} {
		query, args := selectEvents(q)
		reads[query] = args
	}
	for query, args := range reads {
		plan, err := sqlstore.Select(t.Context(), db, func(row sqlstore.Scanner) (step string, err error) {
			var id, parent, unused int
			return step, row.Scan(&id, &parent, &unused, &step)
		}, "EXPLAIN QUERY PLAN "+query, args...)
		require.NoError(t, err, query)
		steps := strings.Join(plan, "\n")
		require.Contains(t, steps, "SEARCH", query)
		require.NotContains(t, steps, "SCAN ", query)
		require.NotContains(t, steps, "TEMP B-TREE", query)
		if strings.Contains(query, "alias = ?") {
			require.Contains(t, steps, "registry_event_alias", query)
		}
	}
}
