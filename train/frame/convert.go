package frame

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// Datatype returns the datatype that carries the kind's values: Float64 is
// FP64, Int64 and Time are INT64, Bool is BOOL, String is BYTES; "" for an
// unknown kind.
func (k Kind) Datatype() Datatype {
	switch k {
	case Float64:
		return FP64
	case Int64, Time:
		return INT64
	case Bool:
		return BOOL
	case String:
		return BYTES
	}
	return ""
}

// TensorsFromRows returns one tensor for each column of the schema, of shape
// [len(rows)] and of the kind's Datatype; times become milliseconds since 1970.
// A null Float64 becomes NaN; no other datatype can say null. Errors: Invalid,
// listing for each column the first null or value of another kind; and rows of
// another length than the schema.
func TensorsFromRows(schema Schema, rows []Row) ([]Tensor, error) {
	var problems fault.Problems
	for i, r := range rows {
		if len(r.Values) != len(schema) {
			problems.Addf("row %d has %d values for %d columns", i, len(r.Values), len(schema))
			return nil, fault.Errorf(fault.Invalid, "frame: tensors from rows: %w", problems.Err())
		}
	}
	tensors := make([]Tensor, len(schema))
	for c, f := range schema {
		data, row := columnData(f.Kind, c, rows)
		if row >= 0 {
			if v := rows[row].Values[c]; v.IsNull() {
				problems.Addf("row %d, column %q: null, which %s cannot say", row, f.Name, f.Kind.Datatype())
			} else {
				problems.Addf("row %d, column %q: value %q is %s, want %s", row, f.Name, clip(v.Text()), v.Kind(), f.Kind)
			}
		}
		tensors[c] = Tensor{Name: f.Name, Datatype: f.Kind.Datatype(), Shape: []int64{int64(len(rows))}, Data: data}
	}
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: tensors from rows: %w", err)
	}
	return tensors, nil
}

// columnData returns column c as a slice of its datatype, or the first row that does not fit.
func columnData(kind Kind, c int, rows []Row) (data any, bad int) {
	switch kind {
	case Float64:
		return collect(rows, c, kind, true, Value.Float)
	case Int64, Time:
		return collect(rows, c, kind, false, Value.Int)
	case Bool:
		return collect(rows, c, kind, false, func(v Value) bool { return v.bits != 0 })
	}
	return collect(rows, c, kind, false, func(v Value) string { return v.text })
}

func collect[T any](rows []Row, c int, kind Kind, nullable bool, get func(Value) T) (any, int) {
	out := make([]T, len(rows))
	for i, r := range rows {
		if v := r.Values[c]; v.kind != kind && !(nullable && v.IsNull()) {
			return out, i
		}
		out[i] = get(r.Values[c])
	}
	return out, -1
}

// RowsFromTensors reads a batch: one tensor for each column of the schema,
// found by name, of shape [n] or [n, 1]. Any numeric datatype is taken whose
// values the column's kind holds without loss (whole FP64 numbers for an Int64,
// small INT64 for a Float64, 0 and 1 for a Bool, false and true as 0 and 1),
// and BYTES for a String. NaN stays NaN. Errors: Invalid, listing every
// missing, repeated or unexpected tensor, every shape that does not fit, and
// for each tensor the first element that cannot be converted.
func RowsFromTensors(schema Schema, tensors []Tensor) ([]Row, error) {
	var problems fault.Problems
	byColumn, n := matchTensors(schema, tensors, &problems)
	if len(problems) > 0 {
		return nil, fault.Errorf(fault.Invalid, "frame: rows from tensors: %w", problems.Err())
	}
	values := make([]Value, n*len(schema))
	for c, f := range schema {
		t := byColumn[c]
		for i := range n {
			v, ok := elementAt(t.Data, i, f.Kind)
			if !ok {
				problems.Addf("tensor %q, element %d: %s %s is no %s", t.Name, i, t.Datatype, elementText(t.Data, i), f.Kind)
				break
			}
			values[i*len(schema)+c] = v
		}
	}
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: rows from tensors: %w", err)
	}
	rows := make([]Row, n)
	for i := range rows {
		lo, hi := i*len(schema), (i+1)*len(schema)
		rows[i] = Row{Schema: schema, Values: values[lo:hi:hi]}
	}
	return rows, nil
}

// matchTensors finds the tensor of each column and the number of rows, and
// notes everything about names and shapes that is wrong.
func matchTensors(schema Schema, tensors []Tensor, problems *fault.Problems) (byColumn []*Tensor, n int) {
	byColumn = make([]*Tensor, len(schema))
	n = -1
	for i := range tensors {
		t := &tensors[i]
		c := schema.Index(t.Name)
		if c < 0 {
			problems.Addf("unexpected tensor %q; the inputs are %s", t.Name, schema.names())
			continue
		}
		if byColumn[c] != nil {
			problems.Addf("tensor %q is given twice", t.Name)
			continue
		}
		byColumn[c] = t
		if err := t.Check(); err != nil {
			problems.Addf("%s", err)
			continue
		}
		if d := len(t.Shape); d != 1 && !(d == 2 && t.Shape[1] == 1) {
			problems.Addf("tensor %q: shape %v, want [n] or [n 1]", t.Name, t.Shape)
			continue
		}
		if rows := int(t.Shape[0]); n < 0 {
			n = rows
		} else if rows != n {
			problems.Addf("tensor %q has %d rows, those before it %d", t.Name, rows, n)
		}
	}
	for c, f := range schema {
		if byColumn[c] == nil {
			problems.Addf("tensor %q (%s, shape [n]) is missing", f.Name, f.Kind.Datatype())
		}
	}
	return byColumn, max(n, 0)
}

// elementAt converts element i of a tensor's data, reporting whether nothing is lost.
func elementAt(data any, i int, kind Kind) (Value, bool) {
	switch d := data.(type) {
	case []float64:
		return fromFloat(d[i], kind)
	case []float32:
		return fromFloat(float64(d[i]), kind)
	case []bool:
		return fromBool(d[i], kind)
	case []string:
		return StringValue(d[i]), kind == String && utf8.ValidString(d[i])
	case []uint64:
		if d[i] > math.MaxInt64 {
			f := float64(d[i])
			// 2⁶⁴ itself, to which the largest round, is no uint64.
			return FloatValue(f), kind == Float64 && f < 1<<64 && uint64(f) == d[i]
		}
		return fromInt(int64(d[i]), kind)
	case []int64:
		return fromInt(d[i], kind)
	case []int32:
		return fromInt(int64(d[i]), kind)
	case []int16:
		return fromInt(int64(d[i]), kind)
	case []int8:
		return fromInt(int64(d[i]), kind)
	case []uint32:
		return fromInt(int64(d[i]), kind)
	case []uint16:
		return fromInt(int64(d[i]), kind)
	case []uint8:
		return fromInt(int64(d[i]), kind)
	}
	return Value{}, false
}

func fromFloat(f float64, kind Kind) (Value, bool) {
	if kind == Float64 {
		return FloatValue(f), true
	}
	if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 { // NaN differs from itself
		return Value{}, false
	}
	return fromInt(int64(f), kind)
}

func fromInt(i int64, kind Kind) (Value, bool) {
	switch kind {
	case Int64:
		return IntValue(i), true
	case Time:
		return TimeValue(i), true
	case Bool:
		return BoolValue(i == 1), i == 0 || i == 1
	case Float64:
		f := float64(i)
		return FloatValue(f), f < 1<<63 && int64(f) == i
	}
	return Value{}, false
}

func fromBool(b bool, kind Kind) (Value, bool) {
	if kind == Bool {
		return BoolValue(b), true
	}
	if kind == Time {
		return Value{}, false
	}
	return fromInt(int64(BoolValue(b).bits), kind)
}

// elementText writes element i for an error message.
func elementText(data any, i int) string {
	if d, ok := data.([]string); ok {
		return strconv.Quote(clip(d[i]))
	}
	return fmt.Sprint(reflect.ValueOf(data).Index(i))
}
