package frame

import "github.com/mlloop/mlloop/internal/fault"

// Row is one record: values in the order of the schema. Rows share their
// schema; treat both as read-only.
type Row struct {
	Schema Schema
	Values []Value
}

// Get returns the named value; null when the row has no such column.
func (r Row) Get(name string) Value {
	if i := r.Schema.Index(name); i >= 0 && i < len(r.Values) {
		return r.Values[i]
	}
	return Value{}
}

// Check reports an Invalid error unless there is one value, null or of the
// column's kind, for each column.
func (r Row) Check() error {
	if len(r.Values) != len(r.Schema) {
		return fault.Errorf(fault.Invalid, "row has %d values for %d columns", len(r.Values), len(r.Schema))
	}
	var problems fault.Problems
	for i, v := range r.Values {
		if !v.IsNull() && v.Kind() != r.Schema[i].Kind {
			problems.Addf("column %q: value %q is %s, want %s", r.Schema[i].Name, v.Text(), v.Kind(), r.Schema[i].Kind)
		}
	}
	return problems.Err()
}
