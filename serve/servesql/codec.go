package servesql

import (
	"encoding/binary"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// encodeRow returns r's values without their schema. Errors: Invalid when they
// do not fit it.
func encodeRow(r frame.Row) ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return frame.EncodeValues(make([]byte, 0, 2+9*len(r.Values)), r.Values), nil
}

// decodeRow reads what encodeRow wrote. Errors: Corrupt, Unsupported.
func decodeRow(schema frame.Schema, b []byte) (frame.Row, error) {
	values, err := frame.DecodeValues(b)
	if err != nil {
		return frame.Row{}, err
	}
	r := frame.Row{Schema: schema, Values: values}
	if err := r.Check(); err != nil {
		return frame.Row{}, fault.Errorf(fault.Corrupt, "stored features are not of their schema: %v", err)
	}
	return r, nil
}

// encodeScores returns little-endian floats; nil for nil.
func encodeScores(scores []float64) []byte {
	if scores == nil {
		return nil
	}
	b := make([]byte, 0, 8*len(scores))
	for _, s := range scores {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s))
	}
	return b
}

func decodeScores(b []byte) ([]float64, error) {
	if b == nil {
		return nil, nil
	}
	if len(b)%8 != 0 {
		return nil, fault.Errorf(fault.Corrupt, "stored scores have %d bytes, not a multiple of 8", len(b))
	}
	scores := make([]float64, len(b)/8)
	for i := range scores {
		scores[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return scores, nil
}
