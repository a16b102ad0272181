package frame

import (
	"iter"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"github.com/mlloop/mlloop/internal/fault"
)

// Table is an immutable sequence of rows held as Arrow record batches. Its
// columns are Arrow's float64, int64, bool, utf8 and timestamp[ms, UTC], all
// nullable.
//
// Tables are safe for concurrent use. They hold on to Arrow's reference counts
// and never give them up: with Arrow's default Go allocator the garbage
// collector frees the memory once no table, row or value points to it. A
// string in a Value points into its batch and keeps that batch alive.
type Table struct {
	schema  Schema
	records []arrow.Record // none is empty
	starts  []int          // starts[b] is the first row of records[b]
	rows    int

	digestOnce sync.Once
	digest     string
}

// newTable makes a table of records whose Arrow schema is schema's own.
func newTable(schema Schema, records []arrow.Record) *Table {
	t := &Table{schema: schema}
	for _, r := range records {
		if r.NumRows() == 0 {
			continue
		}
		t.records = append(t.records, r)
		t.starts = append(t.starts, t.rows)
		t.rows += int(r.NumRows())
	}
	return t
}

// NumRows returns the number of rows.
func (t *Table) NumRows() int { return t.rows }

// Schema returns the columns in order. Treat it as read-only.
func (t *Table) Schema() Schema { return t.schema }

// Records returns the record batches in order; none is empty. They stay the
// table's: retain what must outlive it only with an allocator other than Go's.
func (t *Table) Records() []arrow.Record { return slices.Clone(t.records) }

// locate returns the batch that holds row i and the row's place in it.
func (t *Table) locate(i int) (batch, at int) {
	if i < 0 || i >= t.rows {
		panic(fault.Errorf(fault.Invalid, "frame: row %d of a table of %d rows", i, t.rows))
	}
	if len(t.records) == 1 {
		return 0, i
	}
	batch = sort.SearchInts(t.starts, i+1) - 1
	return batch, i - t.starts[batch]
}

// Value returns the value in row i of column col, both counted from 0. It
// panics when either is out of range, as indexing a slice does.
func (t *Table) Value(i, col int) Value {
	batch, at := t.locate(i)
	return valueAt(t.records[batch].Column(col), at)
}

// Row returns row i. It panics when i is out of range, as indexing a slice does.
func (t *Table) Row(i int) Row {
	return Row{Schema: t.schema, Values: t.appendRow(make([]Value, 0, len(t.schema)), i)}
}

func (t *Table) appendRow(dst []Value, i int) []Value {
	batch, at := t.locate(i)
	for _, col := range t.records[batch].Columns() {
		dst = append(dst, valueAt(col, at))
	}
	return dst
}

// Rows yields the rows from ≤ i < to with their indices. It panics when the
// range does not lie within the table, as slicing does. The yielded rows may
// be kept.
func (t *Table) Rows(from, to int) iter.Seq2[int, Row] {
	t.checkRange(from, to)
	const block = 128 // rows that share one allocation
	return func(yield func(int, Row) bool) {
		var free []Value
		width := len(t.schema)
		for i := from; i < to; i++ {
			if cap(free)-len(free) < width {
				free = make([]Value, 0, width*min(block, to-i))
			}
			start := len(free)
			free = t.appendRow(free, i)
			if !yield(i, Row{Schema: t.schema, Values: free[start:len(free):len(free)]}) {
				return
			}
		}
	}
}

func (t *Table) checkRange(from, to int) {
	if from < 0 || to < from || to > t.rows {
		panic(fault.Errorf(fault.Invalid, "frame: rows %d to %d of a table of %d rows", from, to, t.rows))
	}
}

// column returns the position of the named column.
func (t *Table) column(name string) (int, error) {
	if i := t.schema.Index(name); i >= 0 {
		return i, nil
	}
	return 0, fault.Errorf(fault.Invalid, "frame: no column %q; there are %s", name, t.schema.names())
}

// Values returns the named column. Errors: Invalid when there is no such column.
func (t *Table) Values(name string) ([]Value, error) {
	c, err := t.column(name)
	if err != nil {
		return nil, err
	}
	out := make([]Value, 0, t.rows)
	for _, r := range t.records {
		col := r.Column(c)
		for i := range col.Len() {
			out = append(out, valueAt(col, i))
		}
	}
	return out, nil
}

// Floats returns the named column as numbers: Value.Float of each value, so
// NaN for null, 0 or 1 for a bool, milliseconds for a time. Errors: Invalid
// when there is no such column or it is a String.
func (t *Table) Floats(name string) ([]float64, error) {
	c, err := t.column(name)
	if err != nil {
		return nil, err
	}
	if t.schema[c].Kind == String {
		return nil, fault.Errorf(fault.Invalid, "frame: column %q is text, not numbers; read it with Values or one-hot encode it", name)
	}
	out := make([]float64, 0, t.rows)
	for _, r := range t.records {
		out = appendFloats(out, r.Column(c))
	}
	return out, nil
}

func appendFloats(dst []float64, col arrow.Array) []float64 {
	if f, ok := col.(*array.Float64); ok {
		start := len(dst)
		dst = append(dst, f.Float64Values()...)
		if f.NullN() > 0 {
			for i := range f.Len() {
				if f.IsNull(i) {
					dst[start+i] = math.NaN()
				}
			}
		}
		return dst
	}
	for i := range col.Len() {
		dst = append(dst, valueAt(col, i).Float())
	}
	return dst
}

// valueAt reads one cell of a column of one of the five Arrow types. The type
// switch comes first, so that the compiler sees through IsNull.
func valueAt(col arrow.Array, i int) Value {
	switch c := col.(type) {
	case *array.Float64:
		if !c.IsNull(i) {
			return FloatValue(c.Value(i))
		}
	case *array.Int64:
		if !c.IsNull(i) {
			return IntValue(c.Value(i))
		}
	case *array.Boolean:
		if !c.IsNull(i) {
			return BoolValue(c.Value(i))
		}
	case *array.String:
		if !c.IsNull(i) {
			return StringValue(c.Value(i))
		}
	case *array.Timestamp:
		if !c.IsNull(i) {
			return TimeValue(int64(c.Value(i)))
		}
	}
	return Value{}
}
