package nn

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/model"
)

// Dense adds a fully connected layer activation(x·w + b) to the graph: x is
// rows×in, w in×out, b out, the result rows×out, all float32. It runs
// [model.Dense.Forward], so that serving computes the same numbers. Its
// gradients are hand-written; the one for x is left out when x is an input of
// the graph, where gorgonia would compute it for nothing. Errors: Invalid for
// nodes of another rank, type or shape.
func Dense(x, w, b *gorgonia.Node, a model.Activation) (*gorgonia.Node, error) {
	var layer model.Dense
	o := &op{
		name: fmt.Sprintf("dense %s", a), ranks: []int{2, 2, 1}, rank: 2,
		shape: denseShape,
		run: func(out *Tensor, in []*Tensor) error {
			layer = model.Dense{In: in[1].shape[0], Out: in[1].shape[1], W: in[1].data, B: in[2].data, Activation: a}
			return layer.Forward(out.data, in[0].data, in[0].shape[0])
		},
		wrt: []bool{x != nil && !x.IsVar(), true, true},
		grad: func(in gorgonia.Nodes, out, upstream *gorgonia.Node) (gorgonia.Nodes, error) {
			return denseGradients(in, out, upstream, a)
		},
	}
	node, err := apply(o, x, w, b)
	if err != nil {
		return nil, fmt.Errorf("nn: %w", err)
	}
	return node, nil
}

func denseShape(in []tensor.Shape) (tensor.Shape, error) {
	x, w, b := in[0], in[1], in[2]
	if x[1] != w[0] || w[1] != b[0] {
		return nil, fault.Errorf(fault.Invalid, "x %v, w %v and b %v do not fit one another", x, w, b)
	}
	return tensor.Shape{x[0], w[1]}, nil
}

// denseGradients adds the backward pass: with z the layer before its
// activation, dz = upstream ⊙ activation′(z), dx = dz·wᵀ, dw = xᵀ·dz and db the
// sums of dz's columns.
func denseGradients(in gorgonia.Nodes, out, upstream *gorgonia.Node, a model.Activation) (grads gorgonia.Nodes, err error) {
	x, w, b := in[0], in[1], in[2]
	dz := upstream
	if slope := slopeOf(a); slope != nil {
		o := &op{name: fmt.Sprintf("dense %s dz", a), ranks: []int{2, 2}, rank: 2, shape: sameShape(0), run: slope}
		if dz, err = apply(o, out, upstream); err != nil {
			return nil, err
		}
	}
	grads = make(gorgonia.Nodes, 3)
	if !x.IsVar() {
		o := &op{name: "dense dx", ranks: []int{2, 2, 2}, rank: 2, shape: sameShape(2), run: inputGradient()}
		if grads[0], err = apply(o, dz, w, x); err != nil {
			return nil, err
		}
	}
	o := &op{name: "dense dw", ranks: []int{2, 2, 2}, rank: 2, shape: sameShape(2), run: weightGradient()}
	if grads[1], err = apply(o, x, dz, w); err != nil {
		return nil, err
	}
	o = &op{name: "dense db", ranks: []int{2, 1}, rank: 1, shape: sameShape(1), run: biasGradient}
	if grads[2], err = apply(o, dz, b); err != nil {
		return nil, err
	}
	return grads, nil
}

// slopeOf returns the kernel of dz from the layer's result y and the upstream
// gradient, or nil for the identity.
func slopeOf(a model.Activation) func(out *Tensor, in []*Tensor) error {
	switch a {
	case model.ReLU:
		return func(out *Tensor, in []*Tensor) error {
			y, up, dz := in[0].data, in[1].data, out.data
			for i := 0; i < len(dz) && i < len(y) && i < len(up); i++ {
				// y is 0 or positive: the mask is all ones where it is positive. Signs
				// are random, so a branch would be mispredicted half of the time.
				mask := uint32(-int32(math.Float32bits(y[i])) >> 31)
				dz[i] = math.Float32frombits(math.Float32bits(up[i]) & mask)
			}
			return nil
		}
	case model.Tanh:
		return func(out *Tensor, in []*Tensor) error {
			for i, y := range in[0].data {
				out.data[i] = in[1].data[i] * (1 - y*y)
			}
			return nil
		}
	}
	return nil
}

// inputGradient returns the kernel of dx = dz·wᵀ: a forward pass through the
// transposed weights.
func inputGradient() func(out *Tensor, in []*Tensor) error {
	var back model.Dense
	return func(out *Tensor, in []*Tensor) error {
		dz, w := in[0], in[1]
		back.In, back.Out = w.shape[1], w.shape[0]
		if len(back.W) != len(w.data) {
			back.W, back.B, back.Activation = make([]float32, len(w.data)), make([]float32, back.Out), model.Identity
		}
		transpose(back.W, w.data, w.shape[0], w.shape[1])
		return back.Forward(out.data, dz.data, dz.shape[0])
	}
}

// weightGradient returns the kernel of dw = xᵀ·dz. The product's inner loop
// runs along the longer side of w, which takes fewer and longer vectors; when
// that is the input side, the transpose of dw is computed.
func weightGradient() func(out *Tensor, in []*Tensor) error {
	var flipped []float32
	return func(out *Tensor, in []*Tensor) error {
		x, dz := in[0], in[1]
		rows, inputs, outputs := x.shape[0], x.shape[1], dz.shape[1]
		if outputs >= inputs {
			crossProduct(out.data, x.data, dz.data, rows, inputs, outputs)
			return nil
		}
		if len(flipped) != len(out.data) {
			flipped = make([]float32, len(out.data))
		}
		crossProduct(flipped, dz.data, x.data, rows, outputs, inputs)
		transpose(out.data, flipped, outputs, inputs)
		return nil
	}
}

func biasGradient(out *Tensor, in []*Tensor) error {
	db, dz := out.data, in[0].data
	clear(db)
	for len(dz) >= len(db) && len(db) > 0 {
		for j, v := range dz[:len(db)] {
			db[j] += v
		}
		dz = dz[len(db):]
	}
	return nil
}

// The largest block handed to gonum's Sgemm: from four 64×64 blocks of the
// result on it would start goroutines.
const (
	blockRows    = 64
	blockColumns = 3 * 64
)

// crossProduct computes c = aᵀ·b for a k×m, b k×n and c m×n, on this goroutine.
func crossProduct(c, a, b []float32, k, m, n int) {
	clear(c)
	if k == 0 {
		return
	}
	var impl gonum.Implementation
	for i := 0; i < m; i += blockRows {
		for j := 0; j < n; j += blockColumns {
			impl.Sgemm(blas.Trans, blas.NoTrans, min(blockRows, m-i), min(blockColumns, n-j), k,
				1, a[i:], m, b[j:], n, 1, c[i*n+j:], n)
		}
	}
}

// transpose writes the n×m transpose of a, which is m×n, to dst.
func transpose(dst, a []float32, m, n int) {
	for i := range m {
		for j, v := range a[i*n : (i+1)*n] {
			dst[j*m+i] = v
		}
	}
}
