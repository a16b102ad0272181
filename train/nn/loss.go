package nn

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/internal/fault"
)

// SoftmaxCrossEntropy adds the mean over the rows of -log softmax(scores)[class]
// to the graph: scores is rows×classes, class holds rows indices as float32,
// the result is a scalar in nats. It is summed in float64 after subtracting each
// row's greatest score, so it does not overflow. The gradient for scores is
// (softmax(scores) - onehot(class)) / rows; class has none. Errors: Invalid for
// nodes of another rank or shape and, when run, for an index that is no class.
func SoftmaxCrossEntropy(scores, class *gorgonia.Node) (*gorgonia.Node, error) {
	l := &softmaxLoss{}
	o := &op{
		name: "softmax cross-entropy", ranks: []int{2, 1}, rank: 0,
		shape: func(in []tensor.Shape) (tensor.Shape, error) {
			if in[0][0] != in[1][0] || in[0][1] < 1 {
				return nil, fault.Errorf(fault.Invalid, "scores %v and classes %v do not fit one another", in[0], in[1])
			}
			return tensor.ScalarShape(), nil
		},
		run:  l.forward,
		wrt:  []bool{true, false},
		grad: l.gradients,
	}
	node, err := apply(o, scores, class)
	if err != nil {
		return nil, fmt.Errorf("nn: %w", err)
	}
	return node, nil
}

// softmaxLoss keeps the probabilities of the forward pass for the backward one.
type softmaxLoss struct{ p []float64 }

func (l *softmaxLoss) forward(out *Tensor, in []*Tensor) error {
	rows, k := in[0].shape[0], in[0].shape[1]
	if rows == 0 {
		return fault.Errorf(fault.Invalid, "the batch is empty")
	}
	if len(l.p) < rows*k {
		l.p = make([]float64, rows*k)
	}
	var loss float64
	for i, class := range in[1].data {
		scores, p := in[0].data[i*k:(i+1)*k], l.p[i*k:(i+1)*k]
		c := int(class)
		if c < 0 || c >= k || float32(c) != class {
			return fault.Errorf(fault.Invalid, "row %d is of class %v, there are %d", i, class, k)
		}
		top := scores[0]
		for _, s := range scores {
			top = max(top, s)
		}
		var sum float64
		for j, s := range scores {
			p[j] = math.Exp(float64(s) - float64(top))
			sum += p[j]
		}
		for j := range p {
			p[j] /= sum
		}
		loss += math.Log(sum) - (float64(scores[c]) - float64(top))
	}
	out.data[0] = float32(loss / float64(rows))
	return nil
}

// gradients takes the loss itself as an input only to run after it.
func (l *softmaxLoss) gradients(in gorgonia.Nodes, out, upstream *gorgonia.Node) (gorgonia.Nodes, error) {
	o := &op{name: "softmax cross-entropy dz", ranks: []int{2, 1, 0, 0}, rank: 2, shape: sameShape(0), run: l.backward}
	dz, err := apply(o, in[0], in[1], out, upstream)
	return gorgonia.Nodes{dz, nil}, err
}

func (l *softmaxLoss) backward(out *Tensor, in []*Tensor) error {
	rows, k := out.shape[0], out.shape[1]
	scale := float64(in[3].data[0]) / float64(rows)
	for i, v := range l.p[:rows*k] {
		out.data[i] = float32(v * scale)
	}
	for i, class := range in[1].data {
		j := i*k + int(class)
		out.data[j] = float32((l.p[j] - 1) * scale)
	}
	return nil
}
