package frame

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// Kind is the type of a column and of the values in it.
type Kind string

// The kinds. Null is the kind of the zero Value and of no column.
const (
	Null    Kind = ""
	Float64 Kind = "float64"
	Int64   Kind = "int64"
	Bool    Kind = "bool"
	String  Kind = "string"
	Time    Kind = "time" // UTC, milliseconds since 1970
)

// Value is one typed value, held flat: what is not text lies in the Value
// itself. The zero Value is null. Values are valid map keys: == compares kind
// and bits, so that a NaN equals itself and 0 differs from -0; Equal compares as
// numbers do. Copies are independent: goroutines may share one.
type Value struct {
	kind Kind
	bits uint64 // Float64, Int64, Bool, Time
	text string // String
}

// FloatValue returns a Float64 value.
func FloatValue(f float64) Value { return Value{kind: Float64, bits: math.Float64bits(f)} }

// IntValue returns an Int64 value.
func IntValue(i int64) Value { return Value{kind: Int64, bits: uint64(i)} }

// StringValue returns a String value.
func StringValue(s string) Value { return Value{kind: String, text: s} }

// TimeValue returns a Time value of ms milliseconds since 1970, UTC.
func TimeValue(ms int64) Value { return Value{kind: Time, bits: uint64(ms)} }

// BoolValue returns a Bool value.
func BoolValue(b bool) Value {
	v := Value{kind: Bool}
	if b {
		v.bits = 1
	}
	return v
}

// Kind returns the value's kind, Null for a null.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether the value is null.
func (v Value) IsNull() bool { return v.kind == Null }

// Float returns a number, a time (its milliseconds) or a bool (0 or 1) as
// float64; NaN for a null or a string.
func (v Value) Float() float64 {
	switch v.kind {
	case Float64:
		return math.Float64frombits(v.bits)
	case Int64, Time:
		return float64(int64(v.bits))
	case Bool:
		return float64(v.bits)
	}
	return math.NaN()
}

// Int returns an Int64, Time or Bool value as int64; a Float64 truncated
// towards zero and kept within int64's range; 0 for a NaN, a null or a string.
func (v Value) Int() int64 {
	switch v.kind {
	case Int64, Time, Bool:
		return int64(v.bits)
	case Float64:
		f := math.Float64frombits(v.bits)
		switch {
		case f != f:
			return 0
		case f >= 1<<63:
			return math.MaxInt64
		case f < -1<<63:
			return math.MinInt64
		}
		return int64(f)
	}
	return 0
}

// Equal reports whether both are null, or of the same kind and equal; NaN
// equals NaN.
func (v Value) Equal(o Value) bool { return v.kind == o.kind && v.Compare(o) == 0 }

// Compare orders values: null first, then by kind, then false before true,
// numbers and times ascending with NaN first, strings by their bytes. It
// returns -1, 0 or +1.
func (v Value) Compare(o Value) int {
	if v.kind != o.kind {
		return cmp.Compare(v.kind, o.kind)
	}
	switch v.kind {
	case Float64:
		return cmp.Compare(math.Float64frombits(v.bits), math.Float64frombits(o.bits))
	case Int64, Time, Bool:
		return cmp.Compare(int64(v.bits), int64(o.bits))
	}
	return cmp.Compare(v.text, o.text)
}

// Text returns the value as a reader would write it: the string itself, the
// shortest form of a number that reads back to it, true or false, "" for a null.
func (v Value) Text() string {
	switch v.kind {
	case String:
		return v.text
	case Float64:
		return strconv.FormatFloat(math.Float64frombits(v.bits), 'g', -1, 64)
	case Int64, Time:
		return strconv.FormatInt(int64(v.bits), 10)
	case Bool:
		return strconv.FormatBool(v.bits != 0)
	}
	return ""
}

// ParseValue reads what Text wrote as a value of the kind; a Time also in the
// forms that ReadCSV takes.
// The empty text is null for every kind but String. Errors: Invalid.
func ParseValue(kind Kind, text string) (Value, error) {
	if text == "" && kind != String {
		return Value{}, nil
	}
	var v Value
	var err error
	switch kind {
	case String:
		return StringValue(text), nil
	case Float64:
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		v = FloatValue(f)
	case Int64:
		var i int64
		i, err = strconv.ParseInt(text, 10, 64)
		v = IntValue(i)
	case Time:
		ms, ok := parseTime(text)
		if !ok {
			return Value{}, fault.Errorf(fault.Invalid, "value %q is no %s (milliseconds since 1970 or RFC 3339)", clip(text), kind)
		}
		v = TimeValue(ms)
	case Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v = BoolValue(b)
	default:
		return Value{}, fault.Errorf(fault.Invalid, "value %q: unknown kind %q", clip(text), kind)
	}
	if errors.Is(err, strconv.ErrRange) {
		return Value{}, fault.Errorf(fault.Invalid, "value %q is out of range for %s", clip(text), kind)
	}
	if err != nil {
		return Value{}, fault.Errorf(fault.Invalid, "value %q is no %s", clip(text), kind)
	}
	return v, nil
}

type valueJSON struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// MarshalJSON writes the kind and the text, so that ±Inf and 64-bit integers
// survive and all NaN come back as one. Errors: Invalid for text that is not
// UTF-8, which JSON cannot hold.
func (v Value) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(v.text) {
		return nil, fault.Errorf(fault.Invalid, "frame: text %q is not UTF-8", clip(v.text))
	}
	return json.Marshal(valueJSON{v.kind, v.Text()})
}

// UnmarshalJSON reads what MarshalJSON wrote. Errors: Invalid.
func (v *Value) UnmarshalJSON(b []byte) error {
	var j valueJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fault.Errorf(fault.Invalid, "frame: value: %w", err)
	}
	if j.Text == "" && j.Kind != String {
		if j.Kind != Null {
			return fault.Errorf(fault.Invalid, "frame: value: a %s without text", j.Kind)
		}
		*v = Value{}
		return nil
	}
	parsed, err := ParseValue(j.Kind, j.Text)
	if err != nil {
		return fault.Errorf(fault.Invalid, "frame: value: %w", err)
	}
	*v = parsed
	return nil
}
