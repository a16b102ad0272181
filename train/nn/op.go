package nn

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/internal/fault"
)

// op is one node's operation: it implements gorgonia.SDOp. It owns the buffer
// of its result, so that a step allocates no arrays; hence one op belongs to
// one node, and the result is overwritten by the next run.
type op struct {
	name  string
	ranks []int // of the inputs
	rank  int   // of the result
	shape func(in []tensor.Shape) (tensor.Shape, error)
	run   func(out *Tensor, in []*Tensor) error

	wrt  []bool // which inputs have a gradient; nil: none
	grad func(in gorgonia.Nodes, out, upstream *gorgonia.Node) (gorgonia.Nodes, error)

	id     int            // unique in the graph
	out    *Tensor        // the result of the latest run
	args   []*Tensor      // the inputs of the latest run
	shapes []tensor.Shape // what out was last shaped for
}

// apply adds the op to the graph of its inputs.
func apply(o *op, in ...*gorgonia.Node) (node *gorgonia.Node, err error) {
	defer catch(&err)
	if slices.Contains(in, nil) {
		return nil, fault.Errorf(fault.Invalid, "%s: an input node is nil", o.name)
	}
	// gorgonia merges nodes of equal hash; ours must stay apart, each with its buffer.
	o.id = len(in[0].Graph().AllNodes())
	if node, err = gorgonia.ApplyOp(o, in...); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%s: %w", o.name, err)
	}
	return node, nil
}

// catch turns a panic of gorgonia or of a kernel into an error.
func catch(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("gorgonia panicked: %v", r)
	}
}

// Do runs the op. The tape machine calls it on a goroutine of its own, where a
// panic would end the process.
func (o *op) Do(values ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer catch(&err)
	if err := o.take(values); err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	if err := o.run(o.out, o.args); err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	return o.out, nil
}

// take notes the inputs and, when their shapes changed, shapes the result.
func (o *op) take(values []gorgonia.Value) error {
	if len(values) != len(o.ranks) {
		return fault.Errorf(fault.Invalid, "%d inputs, want %d", len(values), len(o.ranks))
	}
	if o.args == nil {
		o.args, o.shapes = make([]*Tensor, len(values)), make([]tensor.Shape, len(values))
	}
	changed := o.out == nil
	for i, v := range values {
		switch v := v.(type) {
		case *Tensor:
			o.args[i] = v
		case *gorgonia.F32: // the constant 1 from which Grad starts
			o.args[i] = &Tensor{data: []float32{float32(*v)}}
		default:
			return fault.Errorf(fault.Invalid, "input %d is %T, want %T", i, v, o.args[i])
		}
		if o.shapes[i] == nil || !slices.Equal(o.shapes[i], o.args[i].shape) {
			o.shapes[i] = append(o.shapes[i][:0:0], o.args[i].shape...)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	shape, err := o.infer(o.shapes)
	if err != nil {
		return err
	}
	if o.out == nil || len(shape) == 0 || !slices.Equal(shape[1:], o.out.shape[1:]) {
		o.out, err = NewTensor(shape...)
		return err
	}
	o.out.SetRows(shape[0])
	return nil
}

// InferShape returns the result's shape for the inputs' shapes.
func (o *op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	shapes, err := gorgonia.DimSizersToShapes(in)
	if err != nil {
		return nil, err
	}
	return o.infer(shapes)
}

// infer checks the ranks, which gorgonia's type inference lets pass, and
// returns the result's shape.
func (o *op) infer(in []tensor.Shape) (tensor.Shape, error) {
	for i, s := range in {
		if len(s) != o.ranks[i] {
			return nil, fault.Errorf(fault.Invalid, "input %d has shape %v, want %d dimensions", i, s, o.ranks[i])
		}
	}
	return o.shape(in)
}

// Type returns the function type that gorgonia unifies the inputs with; it
// recycles the value, which must be new each time.
func (o *op) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.ranks)+1)
	for _, r := range o.ranks {
		types = append(types, rankType(r))
	}
	return hm.NewFnType(append(types, rankType(o.rank))...)
}

// DiffWRT says which inputs have a gradient.
func (o *op) DiffWRT(inputs int) []bool {
	if o.wrt == nil {
		return make([]bool, inputs)
	}
	return o.wrt
}

// SymDiff adds the nodes of the inputs' gradients to the graph.
func (o *op) SymDiff(in gorgonia.Nodes, out, upstream *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.grad == nil {
		return nil, fault.Errorf(fault.Unsupported, "%s has no gradient", o.name)
	}
	return o.grad(in, out, upstream)
}

// Arity returns the number of inputs.
func (o *op) Arity() int { return len(o.ranks) }

// ReturnsPtr says that the result is not to be copied.
func (o *op) ReturnsPtr() bool { return true }

// CallsExtern is false so that the tape machine sets no memory aside for the result.
func (o *op) CallsExtern() bool { return false }

// OverwritesInput is -1: the result has its own buffer.
func (o *op) OverwritesInput() int { return -1 }

// WriteHash identifies the op within its graph.
func (o *op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s#%d", o.name, o.id) }

// Hashcode is the 32-bit FNV-1a of WriteHash.
func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op) String() string { return o.name }

// sameShape is the shape function of an op whose result is shaped like input i.
func sameShape(i int) func([]tensor.Shape) (tensor.Shape, error) {
	return func(in []tensor.Shape) (tensor.Shape, error) { return in[i].Clone(), nil }
}
