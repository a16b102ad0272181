package frame

import (
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
)

// Datatype is an element type of the Open Inference Protocol v2.
type Datatype string

// The datatypes that Tensor carries. BYTES elements are strings.
const (
	BOOL   Datatype = "BOOL"
	UINT8  Datatype = "UINT8"
	UINT16 Datatype = "UINT16"
	UINT32 Datatype = "UINT32"
	UINT64 Datatype = "UINT64"
	INT8   Datatype = "INT8"
	INT16  Datatype = "INT16"
	INT32  Datatype = "INT32"
	INT64  Datatype = "INT64"
	FP32   Datatype = "FP32"
	FP64   Datatype = "FP64"
	BYTES  Datatype = "BYTES"
)

// Tensor is a named, shaped, flat array in row-major order, as the Open
// Inference Protocol v2 passes it. Data is the Go slice of the datatype:
// []bool, []uint8 … []uint64, []int8 … []int64, []float32, []float64, or
// []string for BYTES. The first dimension is the batch.
type Tensor struct {
	Name     string
	Datatype Datatype
	Shape    []int64
	Data     any
}

// Len returns the number of elements in Data, or -1 when Data is not the
// slice of the datatype.
func (t Tensor) Len() int {
	switch d := t.Data.(type) {
	case []bool:
		return lenOf(t.Datatype == BOOL, len(d))
	case []uint8:
		return lenOf(t.Datatype == UINT8, len(d))
	case []uint16:
		return lenOf(t.Datatype == UINT16, len(d))
	case []uint32:
		return lenOf(t.Datatype == UINT32, len(d))
	case []uint64:
		return lenOf(t.Datatype == UINT64, len(d))
	case []int8:
		return lenOf(t.Datatype == INT8, len(d))
	case []int16:
		return lenOf(t.Datatype == INT16, len(d))
	case []int32:
		return lenOf(t.Datatype == INT32, len(d))
	case []int64:
		return lenOf(t.Datatype == INT64, len(d))
	case []float32:
		return lenOf(t.Datatype == FP32, len(d))
	case []float64:
		return lenOf(t.Datatype == FP64, len(d))
	case []string:
		return lenOf(t.Datatype == BYTES, len(d))
	}
	return -1
}

func lenOf(ok bool, n int) int {
	if !ok {
		return -1
	}
	return n
}

// Check reports an Invalid error unless Data is the slice of the datatype and
// holds as many elements as the shape says.
func (t Tensor) Check() error {
	n := t.Len()
	if n < 0 {
		return fault.Errorf(fault.Invalid, "tensor %q: %T does not hold %s elements", t.Name, t.Data, t.Datatype)
	}
	if !shapeHolds(t.Shape, int64(n)) {
		return fault.Errorf(fault.Invalid, "tensor %q: shape %v does not fit its %d elements", t.Name, t.Shape, n)
	}
	return nil
}

// shapeHolds reports whether the dimensions are not negative and their product
// is n, whatever their size.
func shapeHolds(shape []int64, n int64) bool {
	if slices.ContainsFunc(shape, func(d int64) bool { return d < 0 }) {
		return false
	}
	if slices.Contains(shape, 0) {
		return n == 0
	}
	product := int64(1)
	for _, d := range shape {
		if product > n/d { // the next product would exceed n, or overflow
			return false
		}
		product *= d
	}
	return product == n
}
