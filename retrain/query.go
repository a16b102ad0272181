package retrain

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Ago as an argument of Query stands for the time that much before the step,
// in UTC.
type Ago time.Duration

// AgoMilli is Ago for columns that hold milliseconds since 1970.
type AgoMilli time.Duration

// maxQueryRows bounds what a query may return, so that a forgotten WHERE does
// not fill the service's memory.
const maxQueryRows = 10_000_000

// Query is the Source that reads the service's own database, in its own words (?
// for an argument on SQLite, $1 on PostgreSQL). Arguments of type
// Ago and AgoMilli are filled in from the time of the step. Columns become
// Float64, Int64, Bool, String or Time by the Go types the driver returns;
// a column with integers and floats becomes Float64. NUMERIC and DECIMAL, which
// drivers give as text, become numbers.
func Query(db *sql.DB, query string, args ...any) Source {
	return rowQuery{db, query, args}
}

type rowQuery struct {
	db    *sql.DB
	query string
	args  []any
}

func (q rowQuery) validate(p *fault.Problems) {
	if q.db == nil {
		p.Addf("Query: the database is nil")
	}
	if q.query == "" {
		p.Addf("Query: the query is empty")
	}
}

// Rows implements Source.
func (q rowQuery) Rows(ctx context.Context, now time.Time) (*frame.Table, error) {
	filled := make([]any, len(q.args))
	for i, a := range q.args {
		switch d := a.(type) {
		case Ago:
			filled[i] = now.Add(-time.Duration(d)).UTC()
		case AgoMilli:
			filled[i] = now.Add(-time.Duration(d)).UnixMilli()
		default:
			filled[i] = a
		}
	}
	t, err := readQuery(ctx, q.db, q.query, filled)
	if err != nil {
		return nil, fmt.Errorf("query training rows: %w", err)
	}
	return t, nil
}

func readQuery(ctx context.Context, db *sql.DB, query string, args []any) (*frame.Table, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	decimals, err := decimalsOf(rows)
	if err != nil {
		return nil, err
	}
	var records []frame.Row
	cells := make([]any, len(names))
	targets := make([]any, len(names))
	for i := range cells {
		targets[i] = &cells[i]
	}
	for rows.Next() {
		if len(records) == maxQueryRows {
			return nil, fault.Errorf(fault.Invalid, "more than %d rows: narrow the query", maxQueryRows)
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		values, err := cellValues(names, cells, decimals)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", len(records)+1, err)
		}
		records = append(records, frame.Row{Values: values})
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return unifyKinds(names, records)
}

// decimalsOf says which columns are decimals by the database's word.
func decimalsOf(rows *sql.Rows) ([]bool, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	decimals := make([]bool, len(types))
	for i, t := range types {
		name, _, _ := strings.Cut(strings.ToUpper(t.DatabaseTypeName()), "(")
		decimals[i] = name == "NUMERIC" || name == "DECIMAL"
	}
	return decimals, nil
}

// decimalValue is the number that a decimal's text says, the text itself where
// it says none.
func decimalValue(text string) frame.Value {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return frame.IntValue(n)
	}
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return frame.FloatValue(x)
	}
	return frame.StringValue(text)
}

func cellValues(names []string, cells []any, decimals []bool) ([]frame.Value, error) {
	texts := func(i int, text string) frame.Value {
		if decimals[i] {
			return decimalValue(text)
		}
		return frame.StringValue(text)
	}
	values := make([]frame.Value, len(cells))
	for i, cell := range cells {
		switch v := cell.(type) {
		case nil:
		case float64:
			values[i] = frame.FloatValue(v)
		case int64:
			values[i] = frame.IntValue(v)
		case bool:
			values[i] = frame.BoolValue(v)
		case string:
			values[i] = texts(i, v)
		case []byte:
			values[i] = texts(i, string(v))
		case time.Time:
			values[i] = frame.TimeValue(v.UnixMilli())
		default:
			return nil, fault.Errorf(fault.Unsupported, "column %q: a %T cannot be learned from: cast it in the query", names[i], cell)
		}
	}
	return values, nil
}

// unifyKinds gives each column one kind, widening integers where a column
// holds floats too, and builds the table.
func unifyKinds(names []string, records []frame.Row) (*frame.Table, error) {
	schema := make(frame.Schema, len(names))
	for i, name := range names {
		schema[i] = frame.Field{Name: name}
	}
	for n, r := range records {
		for i, v := range r.Values {
			kind := schema[i].Kind
			switch {
			case v.IsNull() || v.Kind() == kind:
			case kind == frame.Null:
				schema[i].Kind = v.Kind()
			case isNumber(kind) && isNumber(v.Kind()):
				schema[i].Kind = frame.Float64
			default:
				return nil, fault.Errorf(fault.Invalid, "column %q: row %d has a %s, rows before it a %s: cast it in the query", names[i], n+1, v.Kind(), kind)
			}
		}
	}
	for i := range schema {
		if schema[i].Kind == frame.Null {
			schema[i].Kind = frame.Float64 // no value at all: a column of nulls
		}
	}
	for n := range records {
		records[n].Schema = schema
		for i, v := range records[n].Values {
			if v.Kind() == frame.Int64 && schema[i].Kind == frame.Float64 {
				records[n].Values[i] = frame.FloatValue(v.Float())
			}
		}
	}
	return frame.FromRows(schema, records)
}

func isNumber(k frame.Kind) bool { return k == frame.Float64 || k == frame.Int64 }
