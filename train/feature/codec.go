package feature

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// FormatVersion is the version of the JSON that Marshal writes; Decode reads it
// and all before it.
const FormatVersion = 1

const formatName = "mlloop.feature"

// The stored form. Values are written as text, so that 64-bit integers survive
// readers that know only floating-point numbers.
type fittedJSON struct {
	Format  string       `json:"format"`
	Version int          `json:"version"`
	Columns []columnJSON `json:"columns"`
}

type columnJSON struct {
	Name  string     `json:"name"`
	Kind  frame.Kind `json:"kind"`
	Steps []stepJSON `json:"steps,omitempty"`
}

type stepJSON struct {
	Op         Op       `json:"op"`
	Fill       *string  `json:"fill,omitempty"`       // impute
	Mean       *float64 `json:"mean,omitempty"`       // standardize
	Std        *float64 `json:"std,omitempty"`        // standardize
	Categories []string `json:"categories,omitempty"` // one_hot, ascending
}

// Marshal returns the pipeline as JSON; equal pipelines give equal bytes.
func (f *Fitted) Marshal() ([]byte, error) {
	out := fittedJSON{Format: formatName, Version: FormatVersion}
	for i := range f.columns {
		out.Columns = append(out.Columns, f.columns[i].json())
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "feature: marshal: %w", err)
	}
	return append(b, '\n'), nil
}

func (c *column) json() columnJSON {
	out := columnJSON{Name: c.field.Name, Kind: c.field.Kind}
	if c.categories != nil {
		if !c.fill.IsNull() {
			text := c.fill.Text()
			out.Steps = append(out.Steps, stepJSON{Op: OpImpute, Fill: &text})
		}
		categories := make([]string, len(c.categories))
		for i, v := range c.categories {
			categories[i] = v.Text()
		}
		out.Steps = append(out.Steps, stepJSON{Op: OpOneHot, Categories: categories})
		return out
	}
	for _, s := range c.steps {
		if s.op == OpImpute {
			text := frame.FloatValue(s.fill).Text()
			out.Steps = append(out.Steps, stepJSON{Op: OpImpute, Fill: &text})
		} else {
			out.Steps = append(out.Steps, stepJSON{Op: OpStandardize, Mean: &s.mean, Std: &s.std})
		}
	}
	return out
}

// Decode reads what Marshal wrote. Errors: Unsupported for a newer version,
// Corrupt for anything else.
func Decode(b []byte) (*Fitted, error) {
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "feature: decode: %w", err)
	}
	if head.Format != formatName {
		return nil, fault.Errorf(fault.Corrupt, "feature: decode: format %q is not %q", head.Format, formatName)
	}
	if head.Version > FormatVersion {
		return nil, fault.Errorf(fault.Unsupported, "feature: decode: version %d is newer than %d, the newest this release reads; upgrade mlloop", head.Version, FormatVersion)
	}
	var in fittedJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "feature: decode: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault.Errorf(fault.Corrupt, "feature: decode: text after the end")
	}
	f, err := in.fitted()
	if err != nil {
		return nil, fault.Errorf(fault.Corrupt, "feature: decode: %s", err)
	}
	return f, nil
}

func (in fittedJSON) fitted() (*Fitted, error) {
	var problems fault.Problems
	if in.Version < 1 {
		problems.Addf("version %d", in.Version)
	}
	var schema frame.Schema
	columns := make([]column, 0, len(in.Columns))
	for _, c := range in.Columns {
		schema = append(schema, frame.Field{Name: c.Name, Kind: c.Kind})
		col, err := c.column()
		if err != nil {
			problems.Addf("column %q: %s", c.Name, err)
		}
		columns = append(columns, col)
	}
	if err := schema.Check(); err != nil {
		problems.Addf("%s", err)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return newFitted(columns), nil
}

func (in columnJSON) column() (column, error) {
	c := column{field: frame.Field{Name: in.Name, Kind: in.Kind}}
	if n := len(in.Steps); n > 0 && in.Steps[n-1].Op == OpOneHot {
		return in.categorical(c)
	}
	if in.Kind == frame.String {
		return c, fault.Errorf(fault.Invalid, "text is not one-hot encoded")
	}
	for _, s := range in.Steps {
		step, err := s.numeric()
		if err != nil {
			return c, err
		}
		c.steps = append(c.steps, step)
	}
	return c, nil
}

func (s stepJSON) numeric() (numericStep, error) {
	finite := func(f *float64) bool { return f != nil && !math.IsNaN(*f) && !math.IsInf(*f, 0) }
	switch {
	case s.Op == OpImpute && s.Fill != nil && s.Mean == nil && s.Std == nil && s.Categories == nil:
		v, err := frame.ParseValue(frame.Float64, *s.Fill)
		if f := v.Float(); err == nil && finite(&f) {
			return numericStep{op: OpImpute, fill: f}, nil
		}
	case s.Op == OpStandardize && finite(s.Mean) && finite(s.Std) && *s.Std > 0 && s.Fill == nil && s.Categories == nil:
		return numericStep{op: OpStandardize, mean: *s.Mean, std: *s.Std}, nil
	}
	return numericStep{}, fault.Errorf(fault.Invalid, "malformed step %q", s.Op)
}

// categorical reads [impute,] one_hot.
func (in columnJSON) categorical(c column) (column, error) {
	last := in.Steps[len(in.Steps)-1]
	bad := fault.Errorf(fault.Invalid, "malformed one_hot steps")
	if in.Kind == frame.Float64 || in.Kind == frame.Time || len(last.Categories) == 0 || len(last.Categories) > MaxCategories ||
		last.Fill != nil || last.Mean != nil || last.Std != nil || len(in.Steps) > 2 {
		return c, bad
	}
	for i, text := range last.Categories {
		v, err := frame.ParseValue(in.Kind, text)
		if err != nil || v.IsNull() || i > 0 && v.Compare(c.categories[i-1]) <= 0 {
			return c, bad
		}
		c.categories = append(c.categories, v)
	}
	if len(in.Steps) == 1 {
		return c, nil
	}
	s := in.Steps[0]
	if s.Op != OpImpute || s.Fill == nil || s.Mean != nil || s.Std != nil || s.Categories != nil {
		return c, bad
	}
	v, err := frame.ParseValue(in.Kind, *s.Fill)
	if err != nil || !slices.Contains(c.categories, v) {
		return c, bad
	}
	c.fill = v
	return c, nil
}
