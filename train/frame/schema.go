package frame

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v16/arrow"

	"github.com/mlloop/mlloop/internal/fault"
)

// Field is one column's name and kind.
type Field struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
}

// Schema is the ordered columns of a table or a row. Names are unique.
type Schema []Field

// Index returns the position of the named column, or -1.
func (s Schema) Index(name string) int {
	for i, f := range s {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// Equal reports whether both have the same names and kinds in the same order.
// Schemas that share their memory compare in constant time.
func (s Schema) Equal(o Schema) bool {
	if len(s) != len(o) {
		return false
	}
	return len(s) == 0 || &s[0] == &o[0] || slices.Equal(s, o)
}

// Check reports an Invalid error that lists everything wrong: no columns at
// all, an empty or repeated name, a name that is not UTF-8, an unknown kind.
func (s Schema) Check() error {
	var problems fault.Problems
	if len(s) == 0 {
		problems.Addf("no columns")
	}
	seen := make(map[string]int, len(s))
	for i, f := range s {
		if f.Name == "" {
			problems.Addf("column %d has no name", i+1)
		} else if first, ok := seen[f.Name]; ok {
			problems.Addf("columns %d and %d are both named %q", first+1, i+1, f.Name)
		} else {
			seen[f.Name] = i
		}
		if !utf8.ValidString(f.Name) {
			problems.Addf("column %d: name %q is not UTF-8", i+1, f.Name)
		}
		if f.Kind.arrow() == nil {
			problems.Addf("column %q: unknown kind %q; the kinds are float64, int64, bool, string and time", f.Name, f.Kind)
		}
	}
	return problems.Err()
}

// names lists the columns' names for an error message.
func (s Schema) names() string {
	quoted := make([]string, len(s))
	for i, f := range s {
		quoted[i] = strconv.Quote(f.Name)
	}
	return strings.Join(quoted, ", ")
}

// describe lists the columns' names and kinds for an error message.
func (s Schema) describe() string {
	parts := make([]string, len(s))
	for i, f := range s {
		parts[i] = f.Name + " " + string(f.Kind)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func (s Schema) arrow() *arrow.Schema {
	fields := make([]arrow.Field, len(s))
	for i, f := range s {
		fields[i] = arrow.Field{Name: f.Name, Type: f.Kind.arrow(), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// arrow returns the Arrow type of the kind's columns, nil for an unknown kind.
func (k Kind) arrow() arrow.DataType {
	switch k {
	case Float64:
		return arrow.PrimitiveTypes.Float64
	case Int64:
		return arrow.PrimitiveTypes.Int64
	case Bool:
		return arrow.FixedWidthTypes.Boolean
	case String:
		return arrow.BinaryTypes.String
	case Time:
		return arrow.FixedWidthTypes.Timestamp_ms
	}
	return nil
}
