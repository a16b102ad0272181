package feature

import (
	"fmt"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Fitted is a pipeline that has learned. It never changes and is safe for
// concurrent use.
type Fitted struct {
	columns []column
	inputs  frame.Schema
	names   []string
}

// newFitted lays the columns out in the model's row.
func newFitted(columns []column) *Fitted {
	f := &Fitted{columns: columns}
	for i := range columns {
		c := &columns[i]
		c.at = len(f.names)
		f.inputs = append(f.inputs, c.field)
		if c.categories == nil {
			f.names = append(f.names, c.field.Name)
			continue
		}
		c.index = make(map[frame.Value]int, len(c.categories))
		for j, v := range c.categories {
			c.index[v] = j
			f.names = append(f.names, c.field.Name+"="+v.Text())
		}
	}
	return f
}

// Inputs returns the columns that the pipeline reads, in order. Treat it as read-only.
func (f *Fitted) Inputs() frame.Schema { return f.inputs }

// Width returns how many numbers a row becomes.
func (f *Fitted) Width() int { return len(f.names) }

// Names returns a name for each number of a row: the column's own, or
// column=category. Treat it as read-only.
func (f *Fitted) Names() []string { return f.names }

// Transform returns a matrix of t.NumRows() × Width(). Columns are found by
// name; t may hold others and in another order. A column must have the kind it
// had in Fit, except that an Int64 column does for a Float64 one. Errors:
// Invalid, listing for each column that is missing or cannot be transformed the
// first row in question.
func (f *Fitted) Transform(t *frame.Table) (frame.Matrix, error) {
	at, err := f.locate(t.Schema())
	if err != nil {
		return frame.Matrix{}, fault.Errorf(fault.Invalid, "feature: transform: %w", err)
	}
	m := frame.NewMatrix(t.NumRows(), f.Width())
	var problems fault.Problems
	for j := range f.columns {
		c := &f.columns[j]
		for i := range m.Rows {
			v := t.Value(i, at[j])
			if p := c.transform(m.Row(i), v); p != fine {
				problems.Addf("row %d: %s", i, c.describe(p, v))
				break
			}
		}
	}
	if err := problems.Err(); err != nil {
		return frame.Matrix{}, fault.Errorf(fault.Invalid, "feature: transform: %w", err)
	}
	return m, nil
}

// locate finds each input in the schema.
func (f *Fitted) locate(s frame.Schema) ([]int, error) {
	var problems fault.Problems
	at := make([]int, len(f.columns))
	for j, c := range f.columns {
		if at[j] = s.Index(c.field.Name); at[j] < 0 {
			problems.Addf("no column %q (%s)", c.field.Name, c.field.Kind)
		}
	}
	return at, problems.Err()
}

// TransformRows returns a matrix of len(rows) × Width(): TransformRow of each.
// Errors: Invalid, for the first row that cannot be transformed.
func (f *Fitted) TransformRows(rows []frame.Row) (frame.Matrix, error) {
	m := frame.NewMatrix(len(rows), f.Width())
	for i, r := range rows {
		if err := f.transformRow(m.Row(i), r); err != nil {
			return frame.Matrix{}, fault.Errorf(fault.Invalid, "feature: transform: row %d: %w", i, err)
		}
	}
	return m, nil
}

// TransformRow writes what r becomes to dst, whose length must be Width(). The
// numbers are those of Transform bit for bit; nothing is allocated. Inputs are
// found by name, quickest where r's columns have Fit's order. Errors: Invalid,
// listing every column that is missing or cannot be transformed; dst is then
// partly written.
func (f *Fitted) TransformRow(dst []float32, r frame.Row) error {
	if err := f.transformRow(dst, r); err != nil {
		return fault.Errorf(fault.Invalid, "feature: transform: %w", err)
	}
	return nil
}

func (f *Fitted) transformRow(dst []float32, r frame.Row) error {
	if len(dst) != f.Width() {
		return fault.Errorf(fault.Invalid, "room for %d numbers, want %d", len(dst), f.Width())
	}
	if len(r.Values) != len(r.Schema) {
		return fault.Errorf(fault.Invalid, "the row has %d values for %d columns", len(r.Values), len(r.Schema))
	}
	var problems fault.Problems
	for j := range f.columns {
		c := &f.columns[j]
		at := j
		if at >= len(r.Schema) || r.Schema[at].Name != c.field.Name {
			if at = r.Schema.Index(c.field.Name); at < 0 {
				problems.Addf("no column %q (%s)", c.field.Name, c.field.Kind)
				continue
			}
		}
		if p := c.transform(dst, r.Values[at]); p != fine {
			problems.Addf("%s", c.describe(p, r.Values[at]))
		}
	}
	return problems.Err()
}

// describe says what was wrong with a value and what to do.
func (c *column) describe(p problem, v frame.Value) string {
	name := fmt.Sprintf("column %q", c.field.Name)
	switch p {
	case wrongKind:
		text := v.Text()
		if len(text) > 60 {
			text = strings.ToValidUTF8(text[:60], "") + "…"
		}
		return fmt.Sprintf("%s: value %q is %s, want %s; read or convert it as such", name, text, v.Kind(), c.field.Kind)
	case missing:
		return name + " is missing; fit the pipeline with feature.Impute() to have it filled"
	case infinite:
		return name + " is infinite"
	}
	return fmt.Sprintf("%s: %s is too large for a float32", name, v.Text())
}
