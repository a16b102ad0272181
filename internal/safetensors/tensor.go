package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// Dtype is an element type, by the name the format gives it.
type Dtype string

// The element types that this package knows.
const (
	Bool Dtype = "BOOL"
	U8   Dtype = "U8"
	I8   Dtype = "I8"
	I16  Dtype = "I16"
	U16  Dtype = "U16"
	F16  Dtype = "F16"  // IEEE 754 half precision
	BF16 Dtype = "BF16" // the upper half of an F32
	I32  Dtype = "I32"
	U32  Dtype = "U32"
	F32  Dtype = "F32"
	F64  Dtype = "F64"
	I64  Dtype = "I64"
	U64  Dtype = "U64"
)

// Size returns the bytes of one element, or 0 for an unknown type.
func (d Dtype) Size() int64 {
	switch d {
	case Bool, U8, I8:
		return 1
	case I16, U16, F16, BF16:
		return 2
	case I32, U32, F32:
		return 4
	case F64, I64, U64:
		return 8
	}
	return 0
}

// rank orders the types as the reference implementation lays tensors out:
// greatest first, so that every tensor is aligned to its element size.
func (d Dtype) rank() int {
	for i, other := range []Dtype{Bool, U8, I8, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64} {
		if d == other {
			return i
		}
	}
	return -1
}

// Tensor is one array. Data holds its elements, little-endian, row-major. An
// empty Shape is a scalar; a dimension may be 0.
type Tensor struct {
	Dtype Dtype
	Shape []int64
	Data  []byte
}

// Element is a Go type that a tensor's elements convert to without loss.
type Element interface {
	bool | uint8 | int8 | int16 | uint16 | int32 | uint32 | float32 | float64 | int64 | uint64
}

// New returns a tensor of the values, which it copies. Without a shape it is
// a scalar of one value. Errors: Invalid when the shape does not hold exactly
// the values.
func New[T Element](values []T, shape ...int64) (Tensor, error) {
	t := Tensor{Dtype: dtypeOf[T](), Shape: append([]int64{}, shape...)}
	data, err := binary.Append(make([]byte, 0, int64(len(values))*t.Dtype.Size()), binary.LittleEndian, values)
	if err != nil {
		return Tensor{}, fault.Errorf(fault.Invalid, "safetensors: %w", err)
	}
	t.Data = data
	if err := t.check(); err != nil {
		return Tensor{}, fmt.Errorf("safetensors: new tensor: %w", err)
	}
	return t, nil
}

// Values returns a copy of the tensor's elements. Errors: Invalid when their
// type is not T's, or when Data does not fit the shape.
func Values[T Element](t Tensor) ([]T, error) {
	if want := dtypeOf[T](); t.Dtype != want {
		return nil, fault.Errorf(fault.Invalid, "safetensors: the tensor's type is %q, not %s", t.Dtype, want)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("safetensors: values: %w", err)
	}
	values := make([]T, int64(len(t.Data))/t.Dtype.Size())
	if _, err := binary.Decode(t.Data, binary.LittleEndian, values); err != nil {
		return nil, fault.Errorf(fault.Invalid, "safetensors: %w", err)
	}
	return values, nil
}

func dtypeOf[T Element]() Dtype {
	var zero T
	switch any(zero).(type) {
	case bool:
		return Bool
	case uint8:
		return U8
	case int8:
		return I8
	case int16:
		return I16
	case uint16:
		return U16
	case int32:
		return I32
	case uint32:
		return U32
	case float32:
		return F32
	case float64:
		return F64
	case int64:
		return I64
	default:
		return U64
	}
}

// check reports what keeps Data from being the elements of Dtype and Shape.
func (t Tensor) check() error {
	size, err := byteSize(t.Dtype, t.Shape)
	if err != nil {
		return err
	}
	if size != int64(len(t.Data)) {
		return fault.Errorf(fault.Invalid, "%s of shape %v takes %d bytes, there are %d", t.Dtype, t.Shape, size, len(t.Data))
	}
	return nil
}

// byteSize returns how many bytes a tensor takes, after checking that its
// type is known and that no product of its dimensions overflows.
func byteSize(d Dtype, shape []int64) (int64, error) {
	size := d.Size()
	if size == 0 {
		return 0, fault.Errorf(fault.Unsupported, "element type %q is unknown to this release", d)
	}
	for _, dim := range shape {
		if dim < 0 {
			return 0, fault.Errorf(fault.Invalid, "shape %v has a negative dimension", shape)
		}
		if dim > 0 && size > math.MaxInt64/dim {
			return 0, fault.Errorf(fault.Invalid, "shape %v is too large", shape)
		}
		size *= dim
	}
	return size, nil
}
