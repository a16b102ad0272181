package frame

import (
	"math"
	"unicode/utf8"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"github.com/mlloop/mlloop/internal/fault"
)

// FromRecords makes a table of Arrow record batches with equal columns. Columns
// of a table's own types (float64, int64, bool, utf8, timestamp[ms, UTC]) are
// shared, not copied; float32, smaller integers, large_utf8 and other timestamps
// and dates are converted where nothing is lost. A timestamp without a zone is
// taken as UTC. The table retains the records: release yours as usual.
//
// Errors: Invalid for no records, differing columns, a repeated name, text that
// is not UTF-8, and a number or time that a column cannot hold without loss;
// Unsupported for other types.
func FromRecords(records ...arrow.Record) (*Table, error) {
	if len(records) == 0 {
		return nil, fault.Errorf(fault.Invalid, "frame: from records: no records, so no columns")
	}
	schema, err := schemaOf(records[0].Schema())
	if err != nil {
		return nil, fault.Errorf(fault.Kind(err), "frame: from records: %w", err)
	}
	as := schema.arrow()
	own := make([]arrow.Record, len(records))
	for b, r := range records {
		s, err := schemaOf(r.Schema())
		if err != nil {
			return nil, fault.Errorf(fault.Kind(err), "frame: from records: record %d: %w", b, err)
		}
		if !s.Equal(schema) {
			return nil, fault.Errorf(fault.Invalid, "frame: from records: record %d has columns %s, record 0 has %s", b, s.describe(), schema.describe())
		}
		arrays := make([]arrow.Array, len(schema))
		for c, f := range schema {
			if arrays[c], err = ownColumn(r.Column(c), f); err != nil {
				return nil, fault.Errorf(fault.Kind(err), "frame: from records: record %d, column %q: %w", b, f.Name, err)
			}
		}
		own[b] = array.NewRecord(as, arrays, r.NumRows())
	}
	return newTable(schema, own), nil
}

// schemaOf names the kind of each Arrow column.
func schemaOf(as *arrow.Schema) (Schema, error) {
	var problems fault.Problems
	schema := make(Schema, as.NumFields())
	for i, f := range as.Fields() {
		schema[i] = Field{Name: f.Name, Kind: kindOf(f.Type)}
		if schema[i].Kind == Null {
			problems.Addf("column %q has Arrow type %s; cast it to float64, int64, bool, utf8 or timestamp[ms]", f.Name, f.Type)
		}
	}
	if len(problems) > 0 {
		return nil, fault.Errorf(fault.Unsupported, "%w", problems.Err())
	}
	return schema, schema.Check()
}

func kindOf(t arrow.DataType) Kind {
	switch t.ID() {
	case arrow.FLOAT64, arrow.FLOAT32:
		return Float64
	case arrow.INT64, arrow.INT32, arrow.INT16, arrow.INT8, arrow.UINT64, arrow.UINT32, arrow.UINT16, arrow.UINT8:
		return Int64
	case arrow.BOOL:
		return Bool
	case arrow.STRING, arrow.LARGE_STRING:
		return String
	case arrow.TIMESTAMP, arrow.DATE32, arrow.DATE64:
		return Time
	}
	return Null
}

// ownColumn returns the column in the kind's own Arrow type.
func ownColumn(col arrow.Array, f Field) (arrow.Array, error) {
	if s, ok := col.(*array.String); ok {
		for i := range s.Len() {
			if !s.IsNull(i) && !utf8.ValidString(s.Value(i)) {
				return nil, fault.Errorf(fault.Invalid, "row %d: text %q is not UTF-8", i, clip(s.Value(i)))
			}
		}
	}
	if arrow.TypeEqual(col.DataType(), f.Kind.arrow()) {
		return col, nil
	}
	values := make([]Value, col.Len())
	for i := range values {
		if col.IsNull(i) {
			continue
		}
		v, ok := convertAt(col, i)
		if !ok {
			return nil, fault.Errorf(fault.Invalid, "row %d: %s %s does not fit %s; cast it", i, col.DataType(), col.ValueStr(i), f.Kind)
		}
		values[i] = v
	}
	return columnOf(f, values, 0)
}

// convertAt reads a cell of a type that is not a table's own, reporting whether nothing is lost.
func convertAt(col arrow.Array, i int) (Value, bool) {
	switch c := col.(type) {
	case *array.Float32:
		return FloatValue(float64(c.Value(i))), true
	case *array.Int32:
		return IntValue(int64(c.Value(i))), true
	case *array.Int16:
		return IntValue(int64(c.Value(i))), true
	case *array.Int8:
		return IntValue(int64(c.Value(i))), true
	case *array.Uint64:
		return IntValue(int64(c.Value(i))), c.Value(i) <= math.MaxInt64
	case *array.Uint32:
		return IntValue(int64(c.Value(i))), true
	case *array.Uint16:
		return IntValue(int64(c.Value(i))), true
	case *array.Uint8:
		return IntValue(int64(c.Value(i))), true
	case *array.LargeString:
		return StringValue(c.Value(i)), true
	case *array.Date32:
		return TimeValue(int64(c.Value(i)) * 86_400_000), true
	case *array.Date64:
		return TimeValue(int64(c.Value(i))), true
	case *array.Timestamp:
		return timestampValue(int64(c.Value(i)), c.DataType().(*arrow.TimestampType).Unit)
	}
	return Value{}, false
}

func timestampValue(t int64, unit arrow.TimeUnit) (Value, bool) {
	switch unit {
	case arrow.Second:
		return TimeValue(t * 1000), t <= math.MaxInt64/1000 && t >= math.MinInt64/1000
	case arrow.Millisecond:
		return TimeValue(t), true
	case arrow.Microsecond:
		return TimeValue(t / 1000), t%1000 == 0
	default:
		return TimeValue(t / 1_000_000), t%1_000_000 == 0
	}
}
