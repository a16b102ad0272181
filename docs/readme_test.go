package docs_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/mlloop/mlloop/retrain/retrainsql"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", name))
	require.NoError(t, err)
	return string(b)
}

// blocks returns the fenced blocks of a language.
func blocks(text, language string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)\n```").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/dependencies.md", "docs/postgresql.md"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(read(t, page), -1) {
			if !strings.Contains(m[1], "://") {
				_, err := os.Stat(filepath.Join("..", filepath.Dir(page), m[1]))
				require.NoError(t, err, "%s links to %s", page, m[1])
			}
		}
	}
}

func TestQuickStartIsTheExamplesCode(t *testing.T) {
	code := blocks(read(t, "README.md"), "go")
	require.Len(t, code, 1)
	require.Contains(t, read(t, "examples/quickstart/loop.go"), code[0], "the README's quick start is not examples/quickstart/loop.go")
}

// loopDatabase returns a database whose tables a loop has made.
func loopDatabase(t *testing.T) *sql.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "loop.db")
	stores, err := retrainsql.Open(t.Context(), "sqlite:"+path, nil)
	require.NoError(t, err)
	require.NoError(t, stores.Close(t.Context()))
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// TestQueriesRun runs the README's SQL.
func TestQueriesRun(t *testing.T) {
	db := loopDatabase(t)
	ran := 0
	for _, block := range blocks(read(t, "README.md"), "sql") {
		for _, query := range strings.Split(strings.TrimSuffix(strings.TrimSpace(block), ";"), ";") {
			rows, err := db.QueryContext(t.Context(), query)
			require.NoError(t, err, query)
			require.NoError(t, rows.Close())
			require.NoError(t, rows.Err())
			ran++
		}
	}
	require.Equal(t, 2, ran)
}

// TestTablesAreNamed compares the README's tables with those there are.
func TestTablesAreNamed(t *testing.T) {
	db := loopDatabase(t)
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'mlloop_%'")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	named := make(map[string]bool)
	for _, line := range regexp.MustCompile("(?m)^\\| `mlloop_.*$").FindAllString(read(t, "README.md"), -1) {
		prefix := ""
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(strings.Split(line, " | ")[0], -1) {
			if name := m[1]; strings.HasPrefix(name, "mlloop_") {
				named[name], prefix = true, strings.Join(strings.Split(name, "_")[:2], "_")
			} else {
				named[prefix+name] = true
			}
		}
	}
	there := make(map[string]bool)
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		there[name] = true
	}
	require.NoError(t, rows.Err())
	require.Equal(t, there, named)
}
