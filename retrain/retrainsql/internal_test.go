package retrainsql

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
)

// toys are the tables of a store whose second migration changes what the first
// one made.
func toys(steps int) sqlstore.Schema {
	files := fstest.MapFS{}
	for _, folder := range []string{"sqlite", "postgres"} {
		for i, text := range []string{
			`CREATE TABLE {p}toy_thing (id BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL);`,
			`ALTER TABLE {p}toy_thing ADD COLUMN size BIGINT NOT NULL DEFAULT 7;`,
		}[:steps] {
			files["migration/"+folder+"/00"+string(rune('1'+i))+"_toy.sql"] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return sqlstore.Schema{Domain: "toy", Files: files}
}

// TestTablesOfAnEarlierVersion makes the tables as an earlier release had them,
// puts a row in, and brings them up to date.
func TestTablesOfAnEarlierVersion(t *testing.T) {
	for name, open := range map[string]sqltest.Open{"sqlite": sqltest.SQLite, "postgresql": sqltest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			db, all := open(t), []sqlstore.Schema{toys(2)}
			for range 2 { // a restore that was cut short is begun anew
				require.NoError(t, migrateTo(t.Context(), db, all, map[string]int{"toy": 1}))
			}
			versions, err := versionsOf(t.Context(), db, all)
			require.NoError(t, err)
			require.Equal(t, map[string]int{"toy": 1}, versions)
			_, err = db.Exec(t.Context(), `INSERT INTO {p}toy_thing (id, name) VALUES (1, 'x')`)
			require.NoError(t, err)
			require.NoError(t, migrate(t.Context(), db, all))
			var size int
			require.NoError(t, db.QueryRow(t.Context(), `SELECT size FROM {p}toy_thing`).Scan(&size))
			require.Equal(t, 7, size)

			require.ErrorIs(t, migrateTo(t.Context(), db, all, map[string]int{"toy": 1}), fault.Conflict, "it is newer by now")
			require.ErrorIs(t, migrateTo(t.Context(), db, all, map[string]int{"toy": 3}), fault.Unsupported)
			require.ErrorIs(t, migrateTo(t.Context(), db, all, map[string]int{"toy": 2, "game": 1}), fault.Unsupported)
			require.NoError(t, migrateTo(t.Context(), db, all, map[string]int{"toy": 2}))
		})
	}
}

// TestEveryTableIsBackedUp compares the tables that a backup knows with those
// that the database has: a table that is forgotten would be lost in silence.
func TestEveryTableIsBackedUp(t *testing.T) {
	for name, open := range map[string]sqltest.Open{"sqlite": sqltest.SQLite, "postgresql": sqltest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			require.NoError(t, migrate(t.Context(), db, schemas()))
			names, err := tableNames(schemas(), db.Dialect())
			require.NoError(t, err)
			tables, err := tablesOf(t.Context(), db, names)
			require.NoError(t, err)
			var known []string
			for _, table := range tables {
				require.NotEmpty(t, table.key, table.name)
				known = append(known, "mlloop_"+table.name)
			}
			text := `SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'mlloop_%'`
			if db.Dialect() == sqlstore.PostgreSQL {
				text = `SELECT tablename FROM pg_tables WHERE schemaname = '` + db.Schema() + `'`
			}
			all, err := sqlstore.Select(t.Context(), db, func(row sqlstore.Scanner) (name string, err error) {
				return name, row.Scan(&name)
			}, text)
			require.NoError(t, err)
			require.ElementsMatch(t, append(known, "mlloop_migration"), all)
		})
	}
}

func TestRowsRoundTrip(t *testing.T) {
	for _, row := range [][]any{
		{}, {nil}, {int64(math.MinInt64), int64(math.MaxInt64), int64(0)},
		{0.0, 1.0, 1e300, 5e-324, -2.5, 1e21, math.Inf(1), math.Inf(-1)},
		{"", "é\n\"\u2028<b>", "no \xff utf8", "\x00"}, {[]byte{}, []byte{0, 255}, "x"},
	} {
		line, err := appendRow(nil, row)
		require.NoError(t, err)
		require.Equal(t, 1, bytes.Count(line, []byte("\n")))
		got, err := parseRow(line)
		require.NoError(t, err)
		require.Equal(t, row, append([]any{}, got...))
	}
	line, err := appendRow(nil, []any{math.NaN()})
	require.NoError(t, err)
	got, err := parseRow(line)
	require.NoError(t, err)
	require.True(t, math.IsNaN(got[0].(float64)))
	_, err = appendRow(nil, []any{struct{}{}})
	require.ErrorIs(t, err, fault.Unsupported)
}

// FuzzRow parses anything: what is taken is written again the same.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{`[]`, `[1,1.0,"x",null,{"b":"AA=="},{"t":"/w=="},{"f":"NaN"}]`, `[{"b":"A"}]`, `[1e400]`, `[[1]]`, `{}`, `[1] 2`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		row, err := parseRow([]byte(text))
		if err != nil {
			require.ErrorIs(t, err, fault.Corrupt)
			return
		}
		line, err := appendRow(nil, row)
		require.NoError(t, err)
		again, err := parseRow(line)
		require.NoError(t, err)
		twice, err := appendRow(nil, again)
		require.NoError(t, err)
		require.Equal(t, string(line), string(twice))
	})
}

// FuzzLines reads anything as a file of rows.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"table\":\"x\",\"columns\":[\"a\"]}\n[1]\n{\"end\":true}\n"))
	f.Add([]byte("\n"))
	f.Add([]byte("{}\n"))
	f.Add([]byte("[1]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		_, err := zip.Write(content)
		require.NoError(t, errors.Join(err, zip.Close()))
		lines, err := newLineReader(&b)
		require.NoError(t, err)
		for range 1000 {
			_, head, err := lines.next()
			if err != nil {
				require.ErrorIs(t, err, fault.Corrupt)
				return
			}
			if head.End {
				return
			}
		}
	})
}

// The sum of a table does not depend on the order of its rows, and tells any
// other row.
func TestSums(t *testing.T) {
	sum := func(lines ...string) string {
		var a adder
		for _, l := range lines {
			a.add([]byte(l))
		}
		rows, total := a.total()
		require.EqualValues(t, len(lines), rows)
		return total
	}
	require.Equal(t, sum("a", "b", "c"), sum("c", "a", "b"))
	require.NotEqual(t, sum("a", "b"), sum("a", "c"))
	require.NotEqual(t, sum("a", "a"), sum("b", "b"), "doubled rows do not cancel out")
	require.Equal(t, strings.Repeat("0", 64), sum())
}
