package servesql

import (
	"context"
	"fmt"
	"strings"

	"github.com/mlloop/mlloop/sqlstore"
)

// Many rows go to the database in one statement: as arrays on PostgreSQL, which
// is as fast there as COPY, as a list of values on SQLite, which has no arrays.
// What is alike in all rows is handed over once: binding it to each costs as
// much as storing it.

// column is one column of a table, and how it is bound.
type column struct {
	name string
	typ  string // PostgreSQL's
}

// bulk is an insert into a table: columns that are alike in all rows of a call,
// and those that vary.
type bulk struct {
	table         string
	alike, varied []column
}

// chunk is how many rows a statement for SQLite has at most. Their numbers are
// powers of two, so that few texts are prepared.
const chunk = 128

// values are the varied columns of some rows: each a []int64, []float64 or
// []string, or a []*string with nil for NULL.
type values []any

// insert stores n rows.
func (b *bulk) insert(ctx context.Context, tx *sqlstore.Tx, n int, alike []any, varied values) error {
	if n == 0 {
		return nil
	}
	if tx.Dialect() == sqlstore.PostgreSQL {
		args := append(append(make([]any, 0, len(alike)+len(varied)), alike...), varied...)
		_, err := tx.Exec(ctx, b.arraysText(), args...)
		return err
	}
	from := 0
	for _, size := range sizes(n) {
		args := append(make([]any, 0, len(alike)+size*len(varied)), alike...)
		for i := from; i < from+size; i++ {
			for _, column := range varied {
				args = append(args, at(column, i))
			}
		}
		if _, err := tx.Exec(ctx, b.valuesText(size), args...); err != nil {
			return err
		}
		from += size
	}
	return nil
}

// at returns a value of a column.
func at(column any, i int) any {
	switch c := column.(type) {
	case []int64:
		return c[i]
	case []float64:
		return c[i]
	case []string:
		return c[i]
	case []*string:
		if c[i] == nil {
			return nil
		}
		return *c[i]
	}
	return nil
}

func names(columns []column) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = c.name
	}
	return strings.Join(all, ", ")
}

// arraysText is the insert for PostgreSQL.
func (b *bulk) arraysText() string {
	var once, arrays strings.Builder
	for _, c := range b.alike {
		fmt.Fprintf(&once, "?::%s, ", c.typ)
	}
	for i, c := range b.varied {
		if i > 0 {
			arrays.WriteString(", ")
		}
		fmt.Fprintf(&arrays, "?::%s[]", c.typ)
	}
	return `INSERT INTO ` + b.table + ` (` + names(b.alike) + `, ` + names(b.varied) + `) SELECT ` + once.String() + `v.* FROM unnest(` + arrays.String() + `) v`
}

// valuesText is the insert of so many rows for SQLite.
func (b *bulk) valuesText(rows int) string {
	return `INSERT INTO ` + b.table + ` (` + names(b.alike) + `, ` + names(b.varied) + `) SELECT ` + strings.Repeat("?, ", len(b.alike)) +
		`v.* FROM (VALUES ` + repeat(`(`+repeat("?", len(b.varied))+`)`, rows) + `) v`
}

// idRows returns a list of ids to select FROM, as v with the one column column1,
// and its arguments: on SQLite filled up with NULL to a size that is prepared.
func idRows(d sqlstore.Dialect, ids []string) (from string, args []any) {
	if d == sqlstore.PostgreSQL {
		return `unnest(?::text[]) v (column1)`, []any{ids}
	}
	size := padded(len(ids))
	args = make([]any, size, size+8)
	for i, id := range ids {
		args[i] = id
	}
	return `(VALUES ` + repeat("(?)", size) + `) v`, args
}

// fence ends a subquery that PostgreSQL is to run for each row rather than to turn
// into a join: without statistics of a young table it might read it whole for that.
func fence(d sqlstore.Dialect) string {
	if d == sqlstore.PostgreSQL {
		return ` OFFSET 0`
	}
	return ``
}

// each returns what follows something in FROM so that a table is searched by its
// index once for each row of it. where is without brackets.
func each(d sqlstore.Dialect, table, alias, where string) string {
	if d == sqlstore.PostgreSQL {
		return ` CROSS JOIN LATERAL (SELECT * FROM ` + table + ` ` + alias + ` WHERE ` + where + fence(d) + `) ` + alias
	}
	return ` CROSS JOIN ` + table + ` ` + alias + ` ON ` + where
}

// ifAny is each that leaves out nothing: what is not found is NULL.
func ifAny(d sqlstore.Dialect, table, alias, where string) string {
	if d == sqlstore.PostgreSQL {
		return ` LEFT JOIN LATERAL (SELECT * FROM ` + table + ` ` + alias + ` WHERE ` + where + fence(d) + `) ` + alias + ` ON true`
	}
	return ` LEFT JOIN ` + table + ` ` + alias + ` ON ` + where
}

// rowList is idRows for rows of requests: column2 is the index.
func rowList(d sqlstore.Dialect, rows []rowKey) (from string, args []any) {
	n := len(rows)
	if d == sqlstore.PostgreSQL {
		ids, indexes := make([]string, n), make([]int64, n)
		for i, k := range rows {
			ids[i], indexes[i] = k.id, int64(k.index)
		}
		return `unnest(?::text[], ?::bigint[]) v (column1, column2)`, []any{ids, indexes}
	}
	size := padded(n)
	args = make([]any, 2*size, 2*size+8)
	for i, k := range rows {
		args[2*i], args[2*i+1] = k.id, k.index
	}
	return `(VALUES ` + repeat("(?,?)", size) + `) v`, args
}

// mostIDs is how many ids or rows a list has at most.
func mostIDs(d sqlstore.Dialect) int {
	if d == sqlstore.PostgreSQL {
		return 4096
	}
	return maxIDs
}

// maxIDs is mostIDs of SQLite.
const maxIDs = 128

// padded returns the prepared size for n ids.
func padded(n int) int {
	for _, size := range []int{1, 8, 32} {
		if n <= size {
			return size
		}
	}
	return maxIDs
}

// sizes splits n into powers of two, largest first, at most chunk.
func sizes(n int) []int {
	var out []int
	for size := chunk; size > 0; size /= 2 {
		for n >= size {
			out = append(out, size)
			n -= size
		}
	}
	return out
}

// repeat returns n copies of s with commas between.
func repeat(s string, n int) string { return strings.Repeat(s+",", n-1) + s }
