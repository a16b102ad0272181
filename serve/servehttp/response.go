package servehttp

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// encode appends an inference response: JSON, then the outputs that the client
// wants in binary form. jsonSize is the JSON's length when there are any, else
// -1. Errors: Unsupported when an output has what JSON cannot say.
func (q *inferRequest) encode(dst []byte, resp *serve.Response) (body []byte, jsonSize int, err error) {
	start := len(dst)
	dst = append(dst, `{"model_name":`...)
	dst = appendString(dst, resp.Model)
	dst = append(dst, `,"model_version":"`...)
	dst = strconv.AppendInt(dst, resp.Version, 10)
	dst = append(dst, `","id":`...)
	dst = appendString(dst, resp.ID)
	dst = append(dst, `,"parameters":{"variant":`...)
	dst = appendString(dst, string(resp.Variant))
	if resp.Fallback { // the canary failed, and the primary answered in its place
		dst = append(dst, `,"fallback":true`...)
	}
	dst = append(dst, `},"outputs":[`...)
	var tail []byte
	anyBinary := false
	for i := range resp.Outputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		t := &resp.Outputs[i]
		dst = appendHead(dst, t)
		if q.wantsBinary(t.Name) {
			before := len(tail)
			tail, anyBinary = appendBinary(tail, t.Data), true
			dst = append(dst, `,"parameters":{"binary_data_size":`...)
			dst = strconv.AppendInt(dst, int64(len(tail)-before), 10)
			dst = append(dst, `}}`...)
			continue
		}
		dst = append(dst, `,"data":`...)
		if dst, err = appendData(dst, t.Data); err != nil {
			return nil, 0, fault.Errorf(fault.Unsupported, "output %q: %w: ask for it with the parameter binary_data", t.Name, err)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `]}`...)
	if !anyBinary {
		return dst, -1, nil
	}
	jsonSize = len(dst) - start
	return append(dst, tail...), jsonSize, nil
}

// appendHead appends a tensor's object up to its data.
func appendHead(dst []byte, t *frame.Tensor) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, t.Name)
	dst = append(dst, `,"datatype":`...)
	dst = appendString(dst, string(t.Datatype))
	dst = append(dst, `,"shape":[`...)
	for i, d := range t.Shape {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, d, 10)
	}
	return append(dst, ']')
}

// appendData appends a tensor's data as a flat array, row-major.
func appendData(dst []byte, data any) ([]byte, error) {
	switch d := data.(type) {
	case []float64:
		return join(dst, d, func(dst []byte, v float64) ([]byte, error) { return appendFloat(dst, v, 64) })
	case []float32:
		return join(dst, d, func(dst []byte, v float32) ([]byte, error) { return appendFloat(dst, float64(v), 32) })
	case []string:
		return join(dst, d, func(dst []byte, v string) ([]byte, error) {
			if !utf8.ValidString(v) {
				return dst, fault.Errorf(fault.Unsupported, "JSON cannot say bytes that are not UTF-8")
			}
			return appendString(dst, v), nil
		})
	case []bool:
		return join(dst, d, func(dst []byte, v bool) ([]byte, error) { return strconv.AppendBool(dst, v), nil })
	case []int64:
		return join(dst, d, appendSigned)
	case []int32:
		return join(dst, d, appendSigned)
	case []int16:
		return join(dst, d, appendSigned)
	case []int8:
		return join(dst, d, appendSigned)
	case []uint64:
		return join(dst, d, appendUnsigned)
	case []uint32:
		return join(dst, d, appendUnsigned)
	case []uint16:
		return join(dst, d, appendUnsigned)
	case []uint8:
		return join(dst, d, appendUnsigned)
	}
	return dst, fault.Errorf(fault.Unsupported, "JSON cannot say a %T", data)
}

func join[T any](dst []byte, values []T, one func([]byte, T) ([]byte, error)) ([]byte, error) {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = one(dst, v); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendSigned[T int8 | int16 | int32 | int64](dst []byte, v T) ([]byte, error) {
	return strconv.AppendInt(dst, int64(v), 10), nil
}

func appendUnsigned[T uint8 | uint16 | uint32 | uint64](dst []byte, v T) ([]byte, error) {
	return strconv.AppendUint(dst, uint64(v), 10), nil
}

// appendFloat appends the shortest decimal that reads back to v. NaN becomes
// null; an infinity has no word in JSON.
func appendFloat(dst []byte, v float64, bits int) ([]byte, error) {
	switch {
	case math.IsNaN(v):
		return append(dst, "null"...), nil
	case math.IsInf(v, 0):
		return dst, fault.Errorf(fault.Unsupported, "JSON cannot say an infinite number")
	}
	return strconv.AppendFloat(dst, v, 'g', -1, bits), nil
}

// appendString appends s as a JSON string; what is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
