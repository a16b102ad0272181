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
	values := make([]frame.Value, b.n*width)
	at := 0
	for i, t := range b.inputs {
		w := s.widths[i]
		for row := range b.n {
			for j := range w {
				values[row*width+at+j] = element(t.Data, row*w+j)
			}
		}
		at += w
	}
	rows := make([]frame.Row, b.n)
	for i := range rows {
		rows[i] = frame.Row{Schema: s.columns, Values: values[i*width : (i+1)*width : (i+1)*width]}
	}
	return rows
}

// output returns the prediction for a row, null when the model has none per row.
func (s *shape) output(outputs []frame.Tensor, row int) frame.Value {
	if s.label < 0 {
		return frame.Value{}
	}
	return element(outputs[s.label].Data, row)
}

// cloneTensors returns tensors in memory of their own.
func cloneTensors(in []frame.Tensor) []frame.Tensor {
	out := make([]frame.Tensor, len(in))
	for i, t := range in {
		out[i] = t
		out[i].Shape = append([]int64(nil), t.Shape...)
		out[i].Data = cloneData(t.Data)
	}
	return out
}

func cloneData(data any) any {
	switch d := data.(type) {
	case []bool:
		return append([]bool(nil), d...)
	case []uint8:
		return append([]uint8(nil), d...)
	case []uint16:
		return append([]uint16(nil), d...)
	case []uint32:
		return append([]uint32(nil), d...)
	case []uint64:
		return append([]uint64(nil), d...)
	case []int8:
		return append([]int8(nil), d...)
	case []int16:
		return append([]int16(nil), d...)
	case []int32:
		return append([]int32(nil), d...)
	case []int64:
		return append([]int64(nil), d...)
	case []float32:
		return append([]float32(nil), d...)
	case []float64:
		return append([]float64(nil), d...)
	case []string:
		return append([]string(nil), d...)
	}
	return data
}
