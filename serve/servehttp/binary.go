package servehttp

import (
	"encoding/binary"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// The binary tensor data extension: the JSON is followed by the tensors that
// have a binary_data_size, in their order. Elements are little-endian without
// padding; a BYTES element is its length (4 bytes) and its bytes, a BOOL one 0 or 1.
// https://github.com/kserve/open-inference-protocol (extensions)

// readBinary reads the tensors that follow the JSON.
func (q *inferRequest) readBinary(b []byte) error {
	total := int64(0)
	for i, size := range q.sizes {
		if size < 0 {
			continue
		}
		if total += size; size > int64(len(b)) || total < 0 {
			return fault.Errorf(fault.Invalid, "input %q: binary_data_size is %d, the body has %d bytes left", q.inputs[i].Name, size, len(b))
		}
		t := &q.inputs[i]
		if err := q.checkRows(t); err != nil {
			return err
		}
		if _, bad := t.Data.(error); !bad {
			var err error
			if t.Data, err = fromBinary(t.Datatype, t.Shape, b[:size]); err != nil {
				t.Data = err
			}
		}
		b = b[size:]
	}
	if len(b) > 0 {
		return fault.Errorf(fault.Invalid, "the body has %d bytes after the JSON and the %d of the binary inputs: check Inference-Header-Content-Length", len(b), total)
	}
	return nil
}

// fromBinary returns a tensor's data.
func fromBinary(d frame.Datatype, shape []int64, b []byte) (any, error) {
	n, err := elements(shape, len(b))
	if err != nil {
		return nil, err
	}
	switch d {
	case frame.FP64:
		return fixed(b, n, shape, 8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) })
	case frame.FP32:
		return fixed(b, n, shape, 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) })
	case frame.INT64:
		return fixed(b, n, shape, 8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })
	case frame.INT32:
		return fixed(b, n, shape, 4, func(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) })
	case frame.INT16:
		return fixed(b, n, shape, 2, func(b []byte) int16 { return int16(binary.LittleEndian.Uint16(b)) })
	case frame.INT8:
		return fixed(b, n, shape, 1, func(b []byte) int8 { return int8(b[0]) })
	case frame.UINT64:
		return fixed(b, n, shape, 8, binary.LittleEndian.Uint64)
	case frame.UINT32:
		return fixed(b, n, shape, 4, binary.LittleEndian.Uint32)
	case frame.UINT16:
		return fixed(b, n, shape, 2, binary.LittleEndian.Uint16)
	case frame.UINT8:
		return fixed(b, n, shape, 1, func(b []byte) uint8 { return b[0] })
	case frame.BOOL:
		for i, c := range b {
			if c > 1 {
				return nil, fault.Errorf(fault.Invalid, "element %d: byte %d is no BOOL", i, c)
			}
		}
		return fixed(b, n, shape, 1, func(b []byte) bool { return b[0] == 1 })
	case frame.BYTES:
		return stringsFrom(b, n, shape)
	}
	return nil, fault.Errorf(fault.Invalid, "datatype %q is unknown", d)
}

// fixed reads n elements of size bytes each.
func fixed[T any](b []byte, n int, shape []int64, size int, get func([]byte) T) (any, error) {
	if len(b) != n*size {
		return nil, fault.Errorf(fault.Invalid, "binary_data_size is %d, shape %v wants %d", len(b), shape, n*size)
	}
	out := make([]T, n)
	for i := range out {
		out[i] = get(b[i*size : (i+1)*size])
	}
	return out, nil
}

func stringsFrom(b []byte, n int, shape []int64) (any, error) {
	if n > len(b)/4 {
		return nil, fault.Errorf(fault.Invalid, "binary_data_size is %d, too little for the %d elements of shape %v", len(b), n, shape)
	}
	out := make([]string, n)
	for i := range out {
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return nil, fault.Errorf(fault.Invalid, "element %d is cut off", i)
		}
		size := int(binary.LittleEndian.Uint32(b))
		out[i] = string(b[4 : 4+size])
		b = b[4+size:]
	}
	if len(b) > 0 {
		return nil, fault.Errorf(fault.Invalid, "%d bytes follow the %d elements of shape %v", len(b), n, shape)
	}
	return out, nil
}

// appendBinary appends a tensor's data.
func appendBinary(dst []byte, data any) []byte {
	switch d := data.(type) {
	case []bool:
		for _, v := range d {
			if v {
				dst = append(dst, 1)
			} else {
				dst = append(dst, 0)
			}
		}
	case []string:
		for _, v := range d {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v)))
			dst = append(dst, v...)
		}
	default:
		// The slices of numbers: their elements are what binary.Append writes.
		if out, err := binary.Append(dst, binary.LittleEndian, data); err == nil {
			return out
		}
	}
	return dst
}
