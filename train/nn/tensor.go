package nn

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/internal/fault"
)

// Tensor is a dense float32 array in row-major order that a gorgonia graph
// computes with; it implements [gorgonia.Value]. Its first dimension may shrink
// and grow between runs, so that one graph takes batches of any number of rows.
// It is not safe for concurrent use.
type Tensor struct {
	shape tensor.Shape // none for a scalar
	data  []float32
}

var _ gorgonia.Value = (*Tensor)(nil)

// NewTensor returns a zero tensor. Without dimensions it is a scalar. Errors:
// Invalid for a negative dimension.
func NewTensor(shape ...int) (*Tensor, error) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return nil, fault.Errorf(fault.Invalid, "nn: new tensor: shape %v has a negative dimension", shape)
		}
		n *= d
	}
	return &Tensor{shape: slices.Clone(shape), data: make([]float32, n)}, nil
}

// Wrap returns a tensor that shares its memory with data. Errors: Invalid when
// the shape does not hold exactly the data.
func Wrap(data []float32, shape ...int) (*Tensor, error) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if n != len(data) || slices.ContainsFunc(shape, func(d int) bool { return d < 0 }) {
		return nil, fault.Errorf(fault.Invalid, "nn: wrap: shape %v does not hold %d values", shape, len(data))
	}
	return &Tensor{shape: slices.Clone(shape), data: data}, nil
}

// Floats returns the elements, sharing the tensor's memory.
func (t *Tensor) Floats() []float32 { return t.data }

// SetRows changes the first dimension to n. The leading elements stay; what is
// added is unspecified. A scalar and a negative n are left alone.
func (t *Tensor) SetRows(n int) {
	if len(t.shape) == 0 || n < 0 {
		return
	}
	size := n
	for _, d := range t.shape[1:] {
		size *= d
	}
	t.shape[0] = n
	t.data = slices.Grow(t.data[:min(size, len(t.data))], max(0, size-len(t.data)))[:size]
}

// Shape returns the dimensions, none for a scalar.
func (t *Tensor) Shape() tensor.Shape { return t.shape }

// Size returns the number of elements.
func (t *Tensor) Size() int { return len(t.data) }

// Data returns the elements as a []float32 that shares the tensor's memory.
func (t *Tensor) Data() interface{} { return t.data }

// Dtype returns float32.
func (t *Tensor) Dtype() tensor.Dtype { return tensor.Float32 }

// Type returns the type that gorgonia infers with.
func (t *Tensor) Type() hm.Type { return rankType(len(t.shape)) }

// Uintptr returns the address of the first element.
func (t *Tensor) Uintptr() uintptr { return reflect.ValueOf(t.data).Pointer() }

// MemSize returns the bytes that the elements take.
func (t *Tensor) MemSize() uintptr { return uintptr(len(t.data)) * 4 }

// Format writes the shape and the elements.
func (t *Tensor) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%v%v", t.shape, t.data) }

// Clone returns a *Tensor with a copy of the elements.
func (t *Tensor) Clone() (interface{}, error) {
	return &Tensor{shape: t.shape.Clone(), data: slices.Clone(t.data)}, nil
}

// rankType is gorgonia's type of a float32 array of so many dimensions.
func rankType(rank int) hm.Type {
	if rank == 0 {
		return tensor.Float32
	}
	return gorgonia.TensorType{Dims: rank, Of: tensor.Float32}
}
