package serve

import (
	"math"

	"github.com/mlloop/mlloop/train/frame"
)

// kindOf returns the kind of value that holds a datatype's elements.
func kindOf(d frame.Datatype) frame.Kind {
	switch d {
	case frame.BOOL:
		return frame.Bool
	case frame.BYTES:
		return frame.String
	case frame.FP32, frame.FP64:
		return frame.Float64
	}
	return frame.Int64
}

// element returns element i of a tensor's data as a value of kindOf its
// datatype. A UINT64 beyond the int64 range saturates.
func element(data any, i int) frame.Value {
	switch d := data.(type) {
	case []float64:
		return frame.FloatValue(d[i])
	case []float32:
		return frame.FloatValue(float64(d[i]))
	case []int64:
		return frame.IntValue(d[i])
	case []string:
		return frame.StringValue(d[i])
	case []bool:
		return frame.BoolValue(d[i])
	case []int32:
		return frame.IntValue(int64(d[i]))
	case []int16:
		return frame.IntValue(int64(d[i]))
	case []int8:
		return frame.IntValue(int64(d[i]))
	case []uint64:
		return frame.IntValue(int64(min(d[i], math.MaxInt64)))
	case []uint32:
		return frame.IntValue(int64(d[i]))
	case []uint16:
		return frame.IntValue(int64(d[i]))
	case []uint8:
		return frame.IntValue(int64(d[i]))
	}
	return frame.Value{}
}

// makeRows returns the rows of a batch that are logged: the columns of s, in
// memory of their own.
func (s *shape) makeRows(b batch) []frame.Row {
	width := len(s.columns)
	values := valuesOf(width, s.widths, b.inputs, b.n)
	rows := make([]frame.Row, b.n)
	for i := range rows {
		rows[i] = frame.Row{Schema: s.columns, Values: values[i*width : (i+1)*width : (i+1)*width]}
	}
	return rows
}

// valuesOf returns the values of n-row tensors that fill so many columns each,
// width in all, row by row.
func valuesOf(width int, widths []int, tensors []frame.Tensor, n int) []frame.Value {
	values := make([]frame.Value, n*width)
	at := 0
	for i, t := range tensors {
		w := widths[i]
		for row := range n {
			for j := range w {
				values[row*width+at+j] = element(t.Data, row*w+j)
			}
		}
		at += w
	}
	return values
}

// cloneTensors returns the first rows of n-row tensors in memory of their own.
func cloneTensors(in []frame.Tensor, rows, n int) []frame.Tensor {
	out := make([]frame.Tensor, len(in))
	for i, t := range in {
		out[i] = t
		out[i].Shape = append([]int64(nil), t.Shape...)
		if len(out[i].Shape) > 0 {
			out[i].Shape[0] = int64(rows)
		}
		out[i].Data = cloneData(t.Data, rows, n)
	}
	return out
}

// cloneData returns the elements of the first rows of n.
func cloneData(data any, rows, n int) any {
	switch d := data.(type) {
	case []bool:
		return head(d, rows, n)
	case []uint8:
		return head(d, rows, n)
	case []uint16:
		return head(d, rows, n)
	case []uint32:
		return head(d, rows, n)
	case []uint64:
		return head(d, rows, n)
	case []int8:
		return head(d, rows, n)
	case []int16:
		return head(d, rows, n)
	case []int32:
		return head(d, rows, n)
	case []int64:
		return head(d, rows, n)
	case []float32:
		return head(d, rows, n)
	case []float64:
		return head(d, rows, n)
	case []string:
		return head(d, rows, n)
	}
	return data
}

func head[T any](d []T, rows, n int) []T { return append([]T(nil), d[:len(d)/n*rows]...) }

// bytesOf returns about how much memory tensors take up.
func bytesOf(in []frame.Tensor) int64 {
	n := int64(0)
	for _, t := range in {
		switch d := t.Data.(type) {
		case []string:
			for _, s := range d {
				n += 16 + int64(len(s))
			}
		case []bool, []uint8, []int8:
			n += int64(t.Len())
		case []uint16, []int16:
			n += 2 * int64(t.Len())
		case []uint32, []int32, []float32:
			n += 4 * int64(t.Len())
		default:
			n += 8 * int64(t.Len())
		}
	}
	return n
}
