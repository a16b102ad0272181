package drifttest

import (
	"math/rand/v2"

	"github.com/mlloop/mlloop/train/frame"
)

// SEAOptions shape a SEA stream; a zero field means its default.
type SEAOptions struct {
	Theta    float64 // the rule before the change; default 8
	NewTheta float64 // the rule after it; default Theta
	ChangeAt int     // row, counted from 0, of the first label by the new rule
	Noise    float64 // share of labels that are flipped; default 0.1, negative for none
	// Shift is added to the first attribute from row ShiftAt on: a change of the
	// inputs alone.
	Shift   float64
	ShiftAt int
}

// SEA is the stream of Street and Kim (2001): three attributes, uniform on
// 0..10, of which the third means nothing; the label is 1 when the sum of the
// first two is at most theta. The same seed gives the same stream. It is not
// safe for concurrent use.
type SEA struct {
	opts SEAOptions
	rng  *rand.Rand
	row  int
}

// SEASchema is the columns of a SEA row.
func SEASchema() frame.Schema {
	return frame.Schema{
		{Name: "attrib1", Kind: frame.Float64}, {Name: "attrib2", Kind: frame.Float64}, {Name: "attrib3", Kind: frame.Float64},
	}
}

// NewSEA returns the stream of the seed; nil options mean the defaults.
func NewSEA(seed uint64, opts *SEAOptions) *SEA {
	var o SEAOptions
	if opts != nil {
		o = *opts
	}
	if o.Theta == 0 {
		o.Theta = 8
	}
	if o.NewTheta == 0 {
		o.NewTheta = o.Theta
	}
	if o.Noise == 0 {
		o.Noise = 0.1
	}
	return &SEA{opts: o, rng: rand.New(rand.NewPCG(seed, 0x5ea))}
}

// Next returns the next row under the schema, and its label, an int64.
func (s *SEA) Next(schema frame.Schema) (frame.Row, frame.Value) {
	a, b, c := 10*s.rng.Float64(), 10*s.rng.Float64(), 10*s.rng.Float64()
	theta := s.opts.Theta
	if s.row >= s.opts.ChangeAt {
		theta = s.opts.NewTheta
	}
	label := SEALabel(a, b, theta)
	if s.rng.Float64() < s.opts.Noise {
		label = 1 - label
	}
	if s.opts.Shift != 0 && s.row >= s.opts.ShiftAt {
		a += s.opts.Shift
	}
	s.row++
	return frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(a), frame.FloatValue(b), frame.FloatValue(c)}}, frame.IntValue(label)
}

// SEALabel is the rule without noise: 1 when a+b ≤ theta, else 0.
func SEALabel(a, b, theta float64) int64 {
	if a+b <= theta {
		return 1
	}
	return 0
}
