package frame

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"github.com/mlloop/mlloop/internal/fault"
)

// csvColumn reads one column. A column of a given kind is built as it comes; of
// one to be inferred the text is kept until the end.
type csvColumn struct {
	field    Field // its Kind is the guess so far while inferring
	at       int   // position in the line
	inferred bool
	build    array.Builder
	done     []arrow.Array
}

func newCSVColumn(f Field, at int) *csvColumn {
	c := &csvColumn{field: f, at: at, inferred: f.Kind == Null}
	if c.inferred {
		c.build = newBuilder(String)
	} else {
		c.build = newBuilder(f.Kind)
	}
	return c
}

// append takes one field that is not null.
func (c *csvColumn) append(text string) error {
	if c.inferred {
		if !utf8.ValidString(text) {
			return errNotUTF8(text)
		}
		c.field.Kind = widen(c.field.Kind, text)
		c.build.(*array.StringBuilder).Append(text)
		return nil
	}
	return appendText(c.build, c.field.Kind, text)
}

// settle gives an inferred column its kind. The text of each batch is let go
// as soon as it is read.
func (c *csvColumn) settle() error {
	if !c.inferred {
		return nil
	}
	if c.field.Kind == Null {
		c.field.Kind = Float64
	}
	if c.field.Kind == String {
		return nil
	}
	b := newBuilder(c.field.Kind)
	for i, done := range c.done {
		text := done.(*array.String)
		b.Reserve(text.Len())
		for j := range text.Len() {
			if text.IsNull(j) {
				b.AppendNull()
			} else if err := appendText(b, c.field.Kind, text.Value(j)); err != nil {
				return fault.Errorf(fault.Invalid, "column %q: %w", c.field.Name, err)
			}
		}
		c.done[i] = b.NewArray()
	}
	return nil
}

// appendText parses a field of a known kind.
func appendText(b array.Builder, kind Kind, text string) error {
	switch b := b.(type) {
	case *array.StringBuilder:
		if !utf8.ValidString(text) {
			return errNotUTF8(text)
		}
		b.Append(text)
		return nil
	case *array.Float64Builder:
		if f, ok := csvFloat(trim(text)); ok {
			b.Append(f)
			return nil
		}
	case *array.Int64Builder:
		if i, err := strconv.ParseInt(trim(text), 10, 64); err == nil {
			b.Append(i)
			return nil
		}
	case *array.BooleanBuilder:
		if v, err := strconv.ParseBool(trim(text)); err == nil {
			b.Append(v)
			return nil
		}
	case *array.TimestampBuilder:
		if ms, ok := parseTime(trim(text)); ok {
			b.Append(arrow.Timestamp(ms))
			return nil
		}
	}
	return fault.Errorf(fault.Invalid, "%q is no %s; correct it, leave it empty for a null, or give the column another kind in CSVOptions.Schema", clip(text), kind)
}

func errNotUTF8(text string) error {
	return fault.Errorf(fault.Invalid, "%q is not UTF-8; convert the file first", clip(text))
}

// widen returns the narrowest kind for values of kind and text together.
func widen(kind Kind, text string) Kind {
	switch kind {
	case String:
		return String
	case Int64, Float64:
		return widenNumber(kind, trim(text))
	case Null:
		if k := widenNumber(Int64, trim(text)); k != String {
			return k
		}
	}
	t := trim(text)
	if (kind == Bool || kind == Null) && (strings.EqualFold(t, "true") || strings.EqualFold(t, "false")) {
		if _, err := strconv.ParseBool(t); err == nil {
			return Bool
		}
	}
	if (kind == Time || kind == Null) && len(t) >= len(time.DateOnly) {
		if _, ok := parseTimeText(t); ok {
			return Time
		}
	}
	return String
}

// widenNumber tells Int64 from Float64 from String. -0 is a Float64, since no
// integer keeps its sign.
func widenNumber(kind Kind, t string) Kind {
	switch plainNumber(t) {
	case Int64:
		return kind
	case Float64:
		return Float64
	}
	if kind == Int64 && t != "-0" {
		if _, err := strconv.ParseInt(t, 10, 64); err == nil {
			return Int64
		}
	}
	if _, ok := csvFloat(t); ok {
		return Float64
	}
	return String
}

// plainNumber tells whether t is certain to parse, without parsing it: digits
// that fit an Int64, or digits with a point that fit a Float64. Null: not
// certain.
func plainNumber(t string) Kind {
	digits := strings.TrimPrefix(t, "-")
	if digits == "" || len(digits) > 300 || digits == "0" {
		return Null
	}
	points := 0
	for i := range len(digits) {
		switch d := digits[i]; {
		case d == '.':
			points++
		case d < '0' || d > '9':
			return Null
		}
	}
	switch {
	case points == 0 && len(digits) <= 18 && digits[0] != '0':
		return Int64
	case points == 1 && len(digits) > 1:
		return Float64
	}
	return Null
}

// csvFloat parses a decimal number, NaN or ±Inf; not the forms that only Go
// has. A number too large for float64 is refused rather than made infinite.
func csvFloat(t string) (float64, bool) {
	f, err := strconv.ParseFloat(t, 64)
	return f, err == nil && !isGoSyntax(t)
}

// isGoSyntax reports whether a number is hexadecimal or has underscores.
func isGoSyntax(t string) bool {
	digits := strings.TrimLeft(t, "+-")
	return strings.Contains(t, "_") || len(digits) > 1 && digits[0] == '0' && digits[1]|0x20 == 'x'
}

// trim cuts the spaces around a field; most have none.
func trim(s string) string {
	if s == "" || s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.TrimSpace(s)
}

// timeLayouts are tried in order; fractions of a second are read by all that
// have seconds.
var timeLayouts = [...]string{
	time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly,
	"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02 15:04:05Z07:00",
}

// parseTimeText reads a time as people write it, as milliseconds since 1970.
func parseTimeText(s string) (int64, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

// parseTime reads milliseconds since 1970 or a time as people write it.
func parseTime(s string) (int64, bool) {
	if len(s) >= len(time.DateOnly) && s[4] == '-' { // no number; ParseInt would allocate to say so
		return parseTimeText(s)
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	return ms, err == nil
}
