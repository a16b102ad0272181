package feature

import (
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrInvalid     = fault.Invalid
	ErrCorrupt     = fault.Corrupt
	ErrUnsupported = fault.Unsupported
)

// Op names what a step does.
type Op string

// The operations.
const (
	OpImpute      Op = "impute"
	OpStandardize Op = "standardize"
	OpOneHot      Op = "one_hot"
)

// Step is one operation on some columns: plain data, made by Impute,
// Standardize or OneHot.
type Step struct {
	Op      Op       `json:"op"`
	Columns []string `json:"columns,omitempty"` // empty: all that the operation is for
}

// Pipeline is the steps in the order in which they work.
type Pipeline []Step

// Impute fills missing values: with the median of the training rows in a
// numeric column (the mean of the middle two of an even number), with their
// most frequent value in a Bool, a String and any one-hot encoded column (the
// smallest of equally frequent ones). Without names it works on all inputs.
func Impute(columns ...string) Step { return Step{OpImpute, columns} }

// Standardize subtracts the mean of the training rows and divides by their
// population standard deviation; a column that is constant up to rounding is
// divided by 1. Missing values do not count. Without names it works on all
// Float64 and Int64 inputs that no OneHot names.
func Standardize(columns ...string) Step { return Step{OpStandardize, columns} }

// OneHot turns each named String, Int64 or Bool column into one 0-or-1 number
// for each value that the training rows hold, in ascending order. A value they
// do not hold becomes all zeros. At most MaxCategories values are taken.
func OneHot(columns ...string) Step { return Step{OpOneHot, columns} }

// MaxCategories bounds the categories of one column: beyond it the column is
// more likely an identifier.
const MaxCategories = 10_000

// Fit learns what the steps need from all rows of t and from nothing else.
// Inputs are the columns that the model will see, in order. Equal rows give
// equal results.
//
// Errors: Invalid, listing every problem found, for no rows, no or repeated or
// missing inputs, a step for a column that is not an input or not of a kind it
// can take, a String or Time input that no step handles, a missing value without
// Impute, a column with nothing to learn from, an infinite value, and too many
// categories.
func (p Pipeline) Fit(t *frame.Table, inputs []string) (*Fitted, error) {
	schema, err := p.check(t, inputs)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "feature: fit: %w", err)
	}
	var problems fault.Problems
	columns := make([]column, len(schema))
	for i, f := range schema {
		columns[i], err = p.fitColumn(t, f)
		if err != nil {
			problems.Addf("column %q: %s", f.Name, err)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "feature: fit: %w", err)
	}
	f := newFitted(columns)
	return f, nil
}

// Check reports what is wrong with the pipeline whatever the data, in one Invalid
// error: an unknown operation, a OneHot without columns, a column that is empty,
// named twice in a step or one-hot encoded twice, a step for a column that was
// one-hot encoded before, and a Standardize that names a one-hot encoded column.
// Fit does so too; Check needs no data.
func (p Pipeline) Check() error {
	var problems fault.Problems
	p.checkSteps(&problems)
	if err := problems.Err(); err != nil {
		return fault.Errorf(fault.Invalid, "feature: %w", err)
	}
	return nil
}

func (p Pipeline) checkSteps(problems *fault.Problems) {
	var encoded []string // one-hot, by the steps before
	for _, s := range p {
		columns := s.Columns
		switch {
		case s.Op != OpImpute && s.Op != OpStandardize && s.Op != OpOneHot:
			problems.Addf("unknown step %q", s.Op)
		case s.Op == OpOneHot && len(columns) == 0:
			problems.Addf("one_hot: name its columns")
		case s.Op == OpImpute && len(columns) == 0:
			columns = slices.Clone(encoded)
		}
		for i, name := range columns {
			switch {
			case name == "":
				problems.Addf("%s: a column's name is empty", s.Op)
			case slices.Contains(columns[:i], name):
				problems.Addf("%s: column %q is named twice", s.Op, name)
			case s.Op == OpStandardize && p.oneHot(name):
				problems.Addf("standardize: column %q is not a number to scale: it is one-hot encoded", name)
			case slices.Contains(encoded, name):
				problems.Addf("%s: column %q is one-hot encoded before; put %s first", s.Op, name, s.Op)
			}
			if s.Op == OpOneHot && !slices.Contains(encoded, name) {
				encoded = append(encoded, name)
			}
		}
	}
}

// check returns the inputs' fields, or every problem that shows without looking at a value.
func (p Pipeline) check(t *frame.Table, inputs []string) (frame.Schema, error) {
	var problems fault.Problems
	if t == nil || t.NumRows() == 0 {
		problems.Addf("the table has no rows to learn from")
	}
	if len(inputs) == 0 {
		problems.Addf("no inputs are named")
	}
	var schema frame.Schema
	for i, name := range inputs {
		if slices.Contains(inputs[:i], name) {
			problems.Addf("input %q is named twice", name)
			continue
		}
		if t == nil {
			continue
		}
		c := t.Schema().Index(name)
		if c < 0 {
			problems.Addf("the table has no column %q", name)
			continue
		}
		schema = append(schema, t.Schema()[c])
	}
	p.checkSteps(&problems)
	for _, s := range p {
		for _, name := range s.Columns {
			if !slices.Contains(inputs, name) {
				problems.Addf("%s: column %q is not among the inputs", s.Op, name)
			}
		}
	}
	for _, f := range schema {
		p.checkColumn(f, &problems)
	}
	return schema, problems.Err()
}

// checkColumn notes steps that the column cannot take, and a column that needs one.
func (p Pipeline) checkColumn(f frame.Field, problems *fault.Problems) {
	handled, encoded := false, false
	for _, s := range p {
		if !s.appliesTo(p, f) {
			continue
		}
		switch s.Op {
		case OpStandardize:
			if f.Kind == frame.String && !p.oneHot(f.Name) {
				problems.Addf("standardize: column %q is not a number to scale", f.Name)
			}
			handled = true
		case OpOneHot:
			if f.Kind == frame.Float64 || f.Kind == frame.Time {
				problems.Addf("one_hot: column %q is %s; make it a String or an Int64 first", f.Name, f.Kind)
			}
			handled, encoded = true, true
		}
	}
	if f.Kind == frame.String && !encoded {
		problems.Addf("column %q is text: encode it with OneHot(%q), or leave it out of the inputs", f.Name, f.Name)
	}
	if f.Kind == frame.Time && !handled {
		problems.Addf("column %q is a time: leave it out of the inputs, or name it in Standardize(%q)", f.Name, f.Name)
	}
}

// appliesTo reports whether the step works on the column.
func (s Step) appliesTo(p Pipeline, f frame.Field) bool {
	if len(s.Columns) > 0 {
		return slices.Contains(s.Columns, f.Name)
	}
	switch s.Op {
	case OpImpute:
		return true
	case OpStandardize:
		return (f.Kind == frame.Float64 || f.Kind == frame.Int64) && !p.oneHot(f.Name)
	}
	return false
}

// oneHot reports whether a step one-hot encodes the column.
func (p Pipeline) oneHot(name string) bool {
	return slices.ContainsFunc(p, func(s Step) bool { return s.Op == OpOneHot && slices.Contains(s.Columns, name) })
}
