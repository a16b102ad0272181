package nn

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
)

// Network is a classifier's gradient: a gorgonia graph of its layers and the
// softmax cross-entropy, differentiated and compiled for gorgonia's tape
// machine. It shares the classifier's weights, so that an optimizer's step on
// Params changes the classifier itself. It is not safe for concurrent use, and
// nobody else may use the classifier during a step.
type Network struct {
	x, class      *Tensor
	params, grads []*Tensor
	loss          *gorgonia.Node
	gradNodes     gorgonia.Nodes
	machine       gorgonia.VM // nil once closed
	inputs        int
	classes       int
}

// NewNetwork compiles the classifier and sets memory aside for batches of the
// given number of rows; a batch may have fewer or more. Errors: Invalid for a
// classifier that does not pass its Check and for a batch below 1.
func NewNetwork(c *model.Classifier, batch int) (*Network, error) {
	n, err := newNetwork(c, batch)
	if err != nil {
		return nil, fmt.Errorf("nn: new network: %w", err)
	}
	return n, nil
}

func newNetwork(c *model.Classifier, batch int) (n *Network, err error) {
	defer catch(&err)
	if err := c.Check(); err != nil {
		return nil, err
	}
	if batch < 1 {
		return nil, fault.Errorf(fault.Invalid, "batches of %d rows", batch)
	}
	g := gorgonia.NewGraph()
	n = &Network{inputs: c.Inputs(), classes: len(c.Classes)}
	n.x, n.class = &Tensor{shape: tensor.Shape{0, n.inputs}}, &Tensor{shape: tensor.Shape{0}}
	n.x.SetRows(batch)
	n.class.SetRows(batch)
	node := bind(g, "x", n.x)
	class := bind(g, "class", n.class)
	var weights gorgonia.Nodes
	for i := range c.Layers {
		d := &c.Layers[i]
		w := &Tensor{shape: tensor.Shape{d.In, d.Out}, data: d.W}
		b := &Tensor{shape: tensor.Shape{d.Out}, data: d.B}
		wn, bn := bind(g, fmt.Sprintf("layers.%d.weight", i), w), bind(g, fmt.Sprintf("layers.%d.bias", i), b)
		if node, err = Dense(node, wn, bn, d.Activation); err != nil {
			return nil, err
		}
		n.params, weights = append(n.params, w, b), append(weights, wn, bn)
	}
	if n.loss, err = SoftmaxCrossEntropy(node, class); err != nil {
		return nil, err
	}
	if n.gradNodes, err = gorgonia.Grad(n.loss, weights...); err != nil {
		return nil, err
	}
	n.machine = gorgonia.NewTapeMachine(g)
	return n, nil
}

// bind adds an input node that holds t.
func bind(g *gorgonia.ExprGraph, name string, t *Tensor) *gorgonia.Node {
	return gorgonia.NewTensor(g, tensor.Float32, len(t.shape),
		gorgonia.WithShape(t.shape...), gorgonia.WithName(name), gorgonia.WithValue(t))
}

// Backward runs one batch, the named rows of x and their class indices, and
// returns the mean loss in nats before any update; Grads then holds its
// gradient. Errors: Invalid for an empty batch, an unknown row or class, or an
// x of another width; Closed after Close.
func (n *Network) Backward(x frame.Matrix, classes []int32, rows []int) (loss float64, err error) {
	if n.machine == nil {
		return 0, fault.Errorf(fault.Closed, "nn: backward: %w", fault.Closed)
	}
	if err := n.load(x, classes, rows); err != nil {
		return 0, fmt.Errorf("nn: backward: %w", err)
	}
	if err := n.run(); err != nil {
		return 0, fmt.Errorf("nn: backward: %w", err)
	}
	return float64(n.loss.Value().(*Tensor).data[0]), nil
}

// load copies the batch into the graph's inputs.
func (n *Network) load(x frame.Matrix, classes []int32, rows []int) error {
	if x.Cols != n.inputs || len(x.Data) != x.Rows*x.Cols || len(classes) != x.Rows || len(rows) == 0 {
		return fault.Errorf(fault.Invalid, "a batch of %d rows from %d×%d features (%d values) and %d classes, want %d columns",
			len(rows), x.Rows, x.Cols, len(x.Data), len(classes), n.inputs)
	}
	n.x.SetRows(len(rows))
	n.class.SetRows(len(rows))
	for i, r := range rows {
		if r < 0 || r >= x.Rows {
			return fault.Errorf(fault.Invalid, "row %d of %d", r, x.Rows)
		}
		if c := classes[r]; c < 0 || int(c) >= n.classes {
			return fault.Errorf(fault.Invalid, "row %d is of class %d, there are %d", r, c, n.classes)
		}
		copy(n.x.data[i*n.inputs:(i+1)*n.inputs], x.Row(r))
		n.class.data[i] = float32(classes[r])
	}
	return nil
}

func (n *Network) run() (err error) {
	defer catch(&err)
	n.machine.Reset()
	if err := n.machine.RunAll(); err != nil {
		return err
	}
	if n.grads == nil {
		n.grads = make([]*Tensor, len(n.gradNodes))
		for i, node := range n.gradNodes {
			n.grads[i] = node.Value().(*Tensor)
		}
	}
	return nil
}

// Params returns the weights and biases, layer by layer, sharing the
// classifier's memory.
func (n *Network) Params() []*Tensor { return n.params }

// Grads returns the gradients of the latest Backward in the order of Params;
// nil before the first. The next Backward overwrites them.
func (n *Network) Grads() []*Tensor { return n.grads }

// Close releases the graph. The classifier keeps its weights.
func (n *Network) Close() error {
	if n.machine == nil {
		return nil
	}
	err := n.machine.Close()
	n.machine, n.loss, n.gradNodes, n.grads = nil, nil, nil, nil
	if err != nil {
		return fmt.Errorf("nn: close: %w", err)
	}
	return nil
}
