package retrainsql

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// schemas are the tables of a loop's records, those first that others refer to.
// Artifacts and workflows have tables of their own.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{trackingsql.Schema(), registrysql.Schema(), servesql.Schema(), driftsql.Schema(), Schema()}
}

// table is a table as its database has it.
type table struct {
	name    string   // without the prefix
	columns []column // by name
	key     []string // columns of the primary key, in its order
	serial  string   // the column whose numbers the database draws; "": none
}

type column struct {
	name string
	kind kind
}

var createTable = regexp.MustCompile(`(?i)\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?\{p\}([a-z0-9_]+)`)

// tableNames are the names of all tables that the migrations make, those first
// that others refer to.
func tableNames(all []sqlstore.Schema, d sqlstore.Dialect) ([]string, error) {
	folder := "migration/sqlite"
	if d == sqlstore.PostgreSQL {
		folder = "migration/postgres"
	}
	var names []string
	for _, s := range all {
		files, err := fs.Glob(s.Files, folder+"/*.sql")
		if err != nil {
			return nil, err
		}
		slices.Sort(files)
		for _, file := range files {
			text, err := fs.ReadFile(s.Files, file)
			if err != nil {
				return nil, err
			}
			for _, m := range createTable.FindAllStringSubmatch(string(text), -1) {
				names = append(names, strings.ToLower(m[1]))
			}
		}
	}
	return names, nil
}

// tablesOf describes the tables that the database has of those.
func tablesOf(ctx context.Context, q sqlstore.Querier, names []string) ([]table, error) {
	var tables []table
	for _, name := range names {
		describe := describeSQLite
		if q.Dialect() == sqlstore.PostgreSQL {
			describe = describePostgres
		}
		t, err := describe(ctx, q, name)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
		if len(t.columns) > 0 { // a later migration may have taken the table away
			tables = append(tables, t)
		}
	}
	return tables, nil
}

// described is a column with its place in the primary key, from 1; 0: none.
type described struct {
	column
	typeName string
	place    int
	serial   bool
}

func scanDescribed(row sqlstore.Scanner) (d described, err error) {
	err = row.Scan(&d.name, &d.typeName, &d.place, &d.serial)
	return d, err
}

func newTable(name string, all []described, kindOf func(typeName string) (kind, error)) (table, error) {
	t := table{name: name}
	slices.SortFunc(all, func(a, b described) int { return a.place - b.place })
	for _, d := range all {
		k, err := kindOf(d.typeName)
		if err != nil {
			return t, fmt.Errorf("column %s: %w", d.name, err)
		}
		t.columns = append(t.columns, column{d.name, k})
		if d.place > 0 {
			t.key = append(t.key, d.name)
		}
		if d.serial {
			t.serial = d.name
		}
	}
	slices.SortFunc(t.columns, func(a, b column) int { return strings.Compare(a.name, b.name) })
	return t, nil
}

func describeSQLite(ctx context.Context, q sqlstore.Querier, name string) (table, error) {
	all, err := sqlstore.Select(ctx, q, scanDescribed, `SELECT c.name, c.type, c.pk, c.pk = 1 AND m.sql LIKE '%AUTOINCREMENT%'
		FROM sqlite_master m, pragma_table_xinfo('{n}`+name+`') c WHERE m.type = 'table' AND m.name = '{n}`+name+`' AND c.hidden = 0`)
	if err != nil {
		return table{}, err
	}
	return newTable(name, all, kindOfSQLite)
}

// kindOfSQLite is a declared type's affinity (https://www.sqlite.org/datatype3.html).
func kindOfSQLite(declared string) (kind, error) {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToUpper(declared), w) })
	}
	switch {
	case has("INT", "BOOL"):
		return intKind, nil
	case has("CHAR", "CLOB", "TEXT"):
		return textKind, nil
	case has("BLOB"):
		return bytesKind, nil
	case has("REAL", "FLOA", "DOUB"):
		return floatKind, nil
	}
	return "", fault.Errorf(fault.Unsupported, "type %q: no backup holds one", declared)
}

func describePostgres(ctx context.Context, q sqlstore.Querier, name string) (table, error) {
	all, err := sqlstore.Select(ctx, q, scanDescribed, `SELECT a.attname, format_type(a.atttypid, NULL),
			COALESCE(array_position(i.indkey::int2[], a.attnum), -1) + 1,
			pg_get_serial_sequence('{p}`+name+`', a.attname) IS NOT NULL
		FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
		WHERE a.attrelid = to_regclass('{p}`+name+`') AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''`)
	if err != nil {
		return table{}, err
	}
	return newTable(name, all, kindOfPostgres)
}

func kindOfPostgres(typeName string) (kind, error) {
	switch typeName {
	case "text", "character varying":
		return textKind, nil
	case "bytea":
		return bytesKind, nil
	case "bigint", "integer", "smallint":
		return intKind, nil
	case "double precision", "real":
		return floatKind, nil
	case "boolean":
		return boolKind, nil
	}
	return "", fault.Errorf(fault.Unsupported, "type %q: no backup holds one", typeName)
}

// list is the columns' names for a statement. Some are words of SQL.
func (t table) list() string {
	quoted := make([]string, len(t.columns))
	for i, c := range t.columns {
		quoted[i] = `"` + c.name + `"`
	}
	return strings.Join(quoted, ", ")
}

func (t table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// lastDrawn returns the last number that the database drew for the table's key,
// 0 when there is none: numbers are not given twice, deleted ones included.
func (t table) lastDrawn(ctx context.Context, q sqlstore.Querier) (last int64, err error) {
	if t.serial == "" {
		return 0, nil
	}
	text := `SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = '{n}` + t.name + `'`
	if q.Dialect() == sqlstore.PostgreSQL {
		text = `SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence('{p}` + t.name + `', '` + t.serial + `')::regclass), 0)`
	}
	err = q.QueryRow(ctx, text).Scan(&last)
	return last, err
}

// draw has the database draw numbers above last, and above those in the table,
// from now on.
func (t table) draw(ctx context.Context, q sqlstore.Querier, last int64) error {
	if t.serial == "" {
		return nil
	}
	var most int64
	if err := q.QueryRow(ctx, `SELECT COALESCE(MAX("`+t.serial+`"), 0) FROM {p}`+t.name).Scan(&most); err != nil {
		return err
	}
	if last = max(last, most); last <= 0 {
		return nil
	}
	if q.Dialect() == sqlstore.PostgreSQL {
		_, err := q.Exec(ctx, `SELECT setval(pg_get_serial_sequence('{p}`+t.name+`', '`+t.serial+`')::regclass, ?)`, last)
		return err
	}
	n, err := q.Exec(ctx, `UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = '{n}`+t.name+`'`, last)
	if err != nil || n > 0 {
		return err
	}
	_, err = q.Exec(ctx, `INSERT INTO sqlite_sequence (name, seq) VALUES ('{n}`+t.name+`', ?)`, last)
	return err
}
