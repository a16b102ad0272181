package frame

import (
	"slices"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"github.com/mlloop/mlloop/internal/fault"
)

// Slice returns the rows from ≤ i < to without copying them. It panics when
// the range does not lie within the table, as slicing does.
func (t *Table) Slice(from, to int) *Table {
	t.checkRange(from, to)
	var records []arrow.Record
	for b, r := range t.records {
		lo := max(from-t.starts[b], 0)
		hi := min(to-t.starts[b], int(r.NumRows()))
		if lo < hi {
			records = append(records, r.NewSlice(int64(lo), int64(hi)))
		}
	}
	return newTable(t.schema, records)
}

// Select returns the table with the named columns only, in the order named,
// without copying them. Errors: Invalid, naming every column that is missing
// or named twice.
func (t *Table) Select(names ...string) (*Table, error) {
	var problems fault.Problems
	cols := make([]int, 0, len(names))
	for _, name := range names {
		c := t.schema.Index(name)
		switch {
		case c < 0:
			problems.Addf("no column %q; there are %s", name, t.schema.names())
		case slices.Contains(cols, c):
			problems.Addf("column %q is named twice", name)
		}
		cols = append(cols, c)
	}
	if len(names) == 0 {
		problems.Addf("no columns are named")
	}
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: select: %w", err)
	}
	return t.pick(cols), nil
}

// Drop returns the table without the named columns. Errors: Invalid when a
// column is missing or none would be left.
func (t *Table) Drop(names ...string) (*Table, error) {
	var problems fault.Problems
	for _, name := range names {
		if t.schema.Index(name) < 0 {
			problems.Addf("no column %q; there are %s", name, t.schema.names())
		}
	}
	var cols []int
	for i, f := range t.schema {
		if !slices.Contains(names, f.Name) {
			cols = append(cols, i)
		}
	}
	if len(problems) == 0 && len(cols) == 0 {
		problems.Addf("no column would be left")
	}
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: drop: %w", err)
	}
	return t.pick(cols), nil
}

func (t *Table) pick(cols []int) *Table {
	schema := make(Schema, len(cols))
	for i, c := range cols {
		schema[i] = t.schema[c]
	}
	as := schema.arrow()
	records := make([]arrow.Record, len(t.records))
	for b, r := range t.records {
		arrays := make([]arrow.Array, len(cols))
		for i, c := range cols {
			arrays[i] = r.Column(c)
		}
		records[b] = array.NewRecord(as, arrays, r.NumRows())
	}
	return newTable(schema, records)
}

// Concat returns the rows of all the tables one after the other, without
// copying them. Errors: Invalid when there is no table or the schemas differ.
func Concat(tables ...*Table) (*Table, error) {
	if len(tables) == 0 {
		return nil, fault.Errorf(fault.Invalid, "frame: concat: no tables")
	}
	var problems fault.Problems
	var records []arrow.Record
	first := tables[0].schema
	for i, t := range tables {
		if !slices.Equal(t.schema, first) {
			problems.Addf("table %d has columns %s, table 0 has %s", i, t.schema.describe(), first.describe())
		}
		records = append(records, t.records...)
	}
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: concat: %w", err)
	}
	return newTable(first, records), nil
}

// WithColumn returns the table with one column more, or with the column of
// that name replaced in its place; the others are not copied. Errors: Invalid
// unless there is one value, null or of the field's kind, for each row.
func (t *Table) WithColumn(field Field, values []Value) (*Table, error) {
	if len(values) != t.rows {
		return nil, fault.Errorf(fault.Invalid, "frame: with column %q: %d values for %d rows", field.Name, len(values), t.rows)
	}
	schema := slices.Clone(t.schema)
	at := schema.Index(field.Name)
	if at >= 0 {
		schema[at] = field
	} else {
		at = len(schema)
		schema = append(schema, field)
	}
	if err := schema.Check(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: with column %q: %w", field.Name, err)
	}
	as := schema.arrow()
	records := make([]arrow.Record, len(t.records))
	for b, r := range t.records {
		from := t.starts[b]
		col, err := columnOf(field, values[from:from+int(r.NumRows())], from)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "frame: with column: %w", err)
		}
		arrays := slices.Clone(r.Columns())
		if at == len(arrays) {
			arrays = append(arrays, col)
		} else {
			arrays[at] = col
		}
		records[b] = array.NewRecord(as, arrays, r.NumRows())
	}
	return newTable(schema, records), nil
}

// columnOf builds the column of values; from is the row of the first one, for errors.
func columnOf(field Field, values []Value, from int) (arrow.Array, error) {
	b := newBuilder(field.Kind)
	b.Reserve(len(values))
	text := 0
	for i, v := range values {
		if err := appendValue(b, field, v); err != nil {
			return nil, fault.Errorf(fault.Invalid, "row %d: %w", from+i, err)
		}
		if text += len(v.text); text > maxBatchText && field.Kind == String {
			return nil, fault.Errorf(fault.Unsupported, "row %d: column %q holds more than %d bytes of text within one record batch; make the table of smaller batches", from+i, field.Name, maxBatchText)
		}
	}
	return b.NewArray(), nil
}
