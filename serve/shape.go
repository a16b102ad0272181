package serve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train/frame"
)

// shape is what a predictor's signature means for checking requests and for
// logging rows, worked out once when the version is loaded.
type shape struct {
	signature bundle.Signature
	columns   frame.Schema         // of the logged features
	widths    []int                // columns that each input fills; 0: not logged
	rows      rowPredictor         // nil: the predictor takes tensors
	outputs   frame.Schema         // of the logged outputs
	outWidths []int                // columns that each output fills; 0: not logged
	label     int                  // output whose kind a label of LabelOutput has, -1: none
	classes   map[frame.Value]bool // nil: the predictor names none
}

// rowPredictor is a predictor that reads rows. The server hands it those that
// it logs, so that they are made once.
type rowPredictor interface {
	Predictor
	schema() frame.Schema
	predictRows(rows []frame.Row) ([]frame.Tensor, error)
}

// maxColumns bounds how many logged columns one tensor may fill.
const maxColumns = 4096

func newShape(p Predictor) shape {
	s := shape{signature: p.Signature()}
	s.outputs, s.outWidths = columnsOf(s.signature.Outputs)
	s.label = indexOf(s.signature.Outputs, LabelOutput)
	for i := 0; s.label < 0 && i < len(s.signature.Outputs); i++ {
		if s.outWidths[i] == 1 && s.signature.Outputs[i].Name != ProbabilityOutput {
			s.label = i
		}
	}
	if c, ok := p.(Classifier); ok {
		s.classes = map[frame.Value]bool{}
		for _, class := range c.Classes() {
			s.classes[class] = true
		}
	}
	if rp, ok := p.(rowPredictor); ok {
		s.rows, s.columns = rp, rp.schema()
		return s
	}
	s.columns, s.widths = columnsOf(s.signature.Inputs)
	return s
}

// columnsOf returns the columns that a row of the tensors fills in the log, and
// how many each tensor does: one of k elements a row is NAME.0 … NAME.k-1; one
// of a varying number, or of more than maxColumns, is not logged.
func columnsOf(specs []bundle.TensorSpec) (columns frame.Schema, widths []int) {
	for _, spec := range specs {
		n := perRow(spec.Shape)
		if n > maxColumns {
			n = 0
		}
		widths = append(widths, n)
		kind := kindOf(frame.Datatype(spec.Datatype))
		for j := range n {
			name := spec.Name
			if n > 1 {
				name = fmt.Sprintf("%s.%d", spec.Name, j)
			}
			columns = append(columns, frame.Field{Name: name, Kind: kind})
		}
	}
	return columns, widths
}

// perRow returns the number of elements a row has, 0 when it varies.
func perRow(dims []int64) int {
	n := int64(1)
	for _, d := range dims[min(1, len(dims)):] {
		if d < 0 || (d > 0 && n > maxColumns) {
			return 0
		}
		n *= d
	}
	return int(n)
}

// batch is a request's inputs after the check.
type batch struct {
	inputs []frame.Tensor // in the order of the signature
	n      int            // rows
}

// check orders the inputs as the signature has them, or lists everything that
// is wrong with them and says what the model takes.
func (s *shape) check(inputs []frame.Tensor, maxRows int) (batch, error) {
	var problems fault.Problems
	b := batch{inputs: s.order(inputs, &problems), n: -1}
	for i, spec := range s.signature.Inputs {
		if t := b.inputs[i]; t.Name != "" {
			b.n = checkInput(t, spec, b.n, &problems)
		}
	}
	switch {
	case len(problems) > 0:
	case b.n == 0:
		problems.Addf("the batch has no rows")
	case b.n > maxRows:
		problems.Addf("the batch has %d rows, at most %d are taken: send it in parts", b.n, maxRows)
	}
	if err := problems.Err(); err != nil {
		return batch{}, fault.Errorf(fault.Invalid, "%w; the model takes %s", err, describe(s.signature.Inputs))
	}
	return b, nil
}

// order returns one tensor a signature input; the zero Tensor where it is missing.
func (s *shape) order(inputs []frame.Tensor, problems *fault.Problems) []frame.Tensor {
	specs := s.signature.Inputs
	inOrder := len(inputs) == len(specs)
	for i := 0; inOrder && i < len(specs); i++ {
		inOrder = inputs[i].Name == specs[i].Name
	}
	if inOrder {
		return inputs
	}
	ordered := make([]frame.Tensor, len(specs))
	for _, t := range inputs {
		i := indexOf(specs, t.Name)
		switch {
		case i < 0:
			problems.Addf("input %q is unknown", t.Name)
		case ordered[i].Name != "":
			problems.Addf("input %q is given twice", t.Name)
		default:
			ordered[i] = t
		}
	}
	for i, spec := range specs {
		if ordered[i].Name == "" {
			problems.Addf("input %q is missing", spec.Name)
		}
	}
	return ordered
}

func indexOf(specs []bundle.TensorSpec, name string) int {
	for i := range specs {
		if specs[i].Name == name {
			return i
		}
	}
	return -1
}

// checkInput notes what is wrong with one input and returns the batch's number
// of rows, -1 while it is not known.
func checkInput(t frame.Tensor, spec bundle.TensorSpec, n int, problems *fault.Problems) int {
	if string(t.Datatype) != spec.Datatype {
		problems.Addf("input %q is %s, want %s", t.Name, t.Datatype, spec.Datatype)
		return n
	}
	if !fits(t.Shape, spec.Shape) {
		if i := slices.IndexFunc(t.Shape, func(d int64) bool { return d < 0 }); i >= 0 {
			problems.Addf("input %q has shape %v: dimension %d is %d, want the number of elements that are sent", t.Name, t.Shape, i, t.Shape[i])
		} else {
			problems.Addf("input %q has shape %v, want %v", t.Name, t.Shape, spec.Shape)
		}
		return n
	}
	if err, unreadable := t.Data.(error); unreadable {
		problems.Addf("input %q: %v", t.Name, err)
		return n
	}
	if err := t.Check(); err != nil {
		problems.Addf("%v", err)
		return n
	}
	if rows := int(t.Shape[0]); n >= 0 && rows != n {
		problems.Addf("input %q has %d rows, the inputs before it have %d", t.Name, rows, n)
	} else {
		n = rows
	}
	return n
}

// fits reports whether dims is an instance of spec, in which -1 is free. A
// column may come as [n] or [n, 1].
func fits(dims, spec []int64) bool {
	if len(spec) == 1 && len(dims) == 2 && dims[1] == 1 {
		dims = dims[:1]
	}
	if len(dims) != len(spec) || len(dims) == 0 {
		return false
	}
	for i, d := range dims {
		if d < 0 || (spec[i] >= 0 && spec[i] != d) {
			return false
		}
	}
	return true
}

// checkOutputs guards callers against a predictor that breaks its own signature.
func (s *shape) checkOutputs(outputs []frame.Tensor, n int) error {
	if len(outputs) != len(s.signature.Outputs) {
		return fmt.Errorf("the predictor gave %d outputs, its signature has %d", len(outputs), len(s.signature.Outputs))
	}
	for i, spec := range s.signature.Outputs {
		t := outputs[i]
		if t.Name != spec.Name || string(t.Datatype) != spec.Datatype || !fits(t.Shape, spec.Shape) || t.Shape[0] != int64(n) {
			return fmt.Errorf("the predictor gave output %q %s %v for %d rows, its signature has %q %s %v",
				t.Name, t.Datatype, t.Shape, n, spec.Name, spec.Datatype, spec.Shape)
		}
		if err := t.Check(); err != nil {
			return fmt.Errorf("the predictor's output: %v", err)
		}
	}
	return nil
}

// describe writes a signature's side for an error message.
func describe(specs []bundle.TensorSpec) string {
	parts := make([]string, len(specs))
	for i, s := range specs {
		parts[i] = fmt.Sprintf("%q %s %v", s.Name, s.Datatype, s.Shape)
	}
	return strings.Join(parts, ", ")
}
