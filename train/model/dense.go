package model

import "github.com/mlloop/mlloop/internal/fault"

// Dense is one fully connected layer: activation(x·W + B). Its methods only
// read it and may run concurrently.
type Dense struct {
	In, Out    int
	W          []float32 // In×Out, row-major: W[i*Out+j] leads from input i to output j
	B          []float32 // Out
	Activation Activation
}

// Forward writes the layer's outputs for a batch of rows: x is rows×In, dst is
// rows×Out, both row-major, and they must not overlap. A row's result does not
// depend on the rows around it. It runs on the calling goroutine and allocates
// nothing. Errors: Invalid for slices of another length.
func (d *Dense) Forward(dst, x []float32, rows int) error {
	if err := d.forward(dst, x, rows); err != nil {
		return fault.Errorf(fault.Invalid, "model: dense: %w", err)
	}
	return nil
}

func (d *Dense) forward(dst, x []float32, rows int) error {
	if rows < 0 || len(x) != rows*d.In || len(dst) != rows*d.Out || len(d.W) != d.In*d.Out || len(d.B) != d.Out {
		return fault.Errorf(fault.Invalid,
			"a %d×%d layer got %d inputs, %d outputs, %d weights and %d biases for %d rows",
			d.In, d.Out, len(x), len(dst), len(d.W), len(d.B), rows)
	}
	for i := range rows {
		copy(dst[i*d.Out:(i+1)*d.Out], d.B)
	}
	addProduct(dst, x, d.W, rows, d.In, d.Out)
	d.Activation.apply(dst)
	return nil
}
