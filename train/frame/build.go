package frame

import (
	"unicode/utf8"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/memory"

	"github.com/mlloop/mlloop/internal/fault"
)

const (
	batchRows = 1 << 16 // rows in the batches that this package makes
	// Arrow addresses a column's text with 32 bits; a batch ends well before.
	batchText    = 64 << 20
	maxBatchText = 1 << 30
)

// FromRows makes a table of rows. Each row's own schema must equal schema, or
// be nil. Errors: Invalid for a wrong schema, a value of another kind than its
// column, and text that is not UTF-8.
func FromRows(schema Schema, rows []Row) (*Table, error) {
	if err := schema.Check(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: from rows: %w", err)
	}
	b := newBatchBuilder(schema)
	for i, row := range rows {
		if err := b.appendRow(row); err != nil {
			return nil, fault.Errorf(fault.Invalid, "frame: from rows: row %d: %w", i, err)
		}
	}
	return b.table(), nil
}

// batchBuilder collects rows into record batches.
type batchBuilder struct {
	schema   Schema
	arrow    *arrow.Schema
	builders []array.Builder
	rows     int // in the batch being built
	text     int // bytes of text in the batch being built
	records  []arrow.Record
}

func newBatchBuilder(schema Schema) *batchBuilder {
	b := &batchBuilder{schema: schema, arrow: schema.arrow()}
	for _, f := range schema {
		b.builders = append(b.builders, newBuilder(f.Kind))
	}
	return b
}

func (b *batchBuilder) appendRow(row Row) error {
	if row.Schema != nil && !row.Schema.Equal(b.schema) {
		return fault.Errorf(fault.Invalid, "its columns are %s, want %s", row.Schema.describe(), b.schema.describe())
	}
	if len(row.Values) != len(b.schema) {
		return fault.Errorf(fault.Invalid, "%d values for %d columns", len(row.Values), len(b.schema))
	}
	for c, v := range row.Values {
		if err := appendValue(b.builders[c], b.schema[c], v); err != nil {
			return err
		}
		b.text += len(v.text)
	}
	b.rows++
	if b.rows == batchRows || b.text >= batchText {
		b.flush()
	}
	return nil
}

func (b *batchBuilder) flush() {
	if b.rows == 0 {
		return
	}
	arrays := make([]arrow.Array, len(b.builders))
	for c, builder := range b.builders {
		arrays[c] = builder.NewArray()
	}
	b.records = append(b.records, array.NewRecord(b.arrow, arrays, int64(b.rows)))
	b.rows, b.text = 0, 0
}

func (b *batchBuilder) table() *Table {
	b.flush()
	return newTable(b.schema, b.records)
}

// newBuilder returns a builder of the kind's Arrow type on Go's own memory.
func newBuilder(kind Kind) array.Builder {
	return array.NewBuilder(memory.DefaultAllocator, kind.arrow())
}

// appendValue appends a null or a value of the field's kind.
func appendValue(b array.Builder, field Field, v Value) error {
	if v.IsNull() {
		b.AppendNull()
		return nil
	}
	if v.kind != field.Kind {
		return fault.Errorf(fault.Invalid, "column %q: value %q is %s, want %s", field.Name, v.Text(), v.kind, field.Kind)
	}
	switch b := b.(type) {
	case *array.Float64Builder:
		b.Append(v.Float())
	case *array.Int64Builder:
		b.Append(v.Int())
	case *array.BooleanBuilder:
		b.Append(v.bits != 0)
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.Int()))
	case *array.StringBuilder:
		if !utf8.ValidString(v.text) {
			return fault.Errorf(fault.Invalid, "column %q: text %q is not UTF-8", field.Name, v.text)
		}
		b.Append(v.text)
	}
	return nil
}
