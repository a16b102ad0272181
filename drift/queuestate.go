package drift

import (
	"encoding/json"
	"math"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// learnState is a learner, or what it has learned.
type learnState struct {
	Schema  frame.Schema    `json:"schema,omitempty"`
	Rows    [][]byte        `json:"rows,omitempty"`    // frame.EncodeValues
	Profile json.RawMessage `json:"profile,omitempty"` // profile.Marshal
}

func (l *learner) state(learned *profile.Profile) (*learnState, error) {
	s := &learnState{Schema: l.schema}
	for _, row := range l.rows {
		s.Rows = append(s.Rows, frame.EncodeValues(nil, row.Values))
	}
	if learned == nil {
		return s, nil
	}
	var err error
	s.Profile, err = learned.Marshal()
	return s, err
}

func (s *learnState) decode(o Options) (learner, *profile.Profile, error) {
	l := learner{want: o.Learn, schema: s.Schema}
	if s.Profile != nil {
		p, err := profile.Decode(s.Profile)
		if err == nil && (p.WindowRows() != o.Window || s.Schema != nil || s.Rows != nil) {
			err = corrupt("the learned reference is for windows of %d rows, not %d, or not all that was learned", p.WindowRows(), o.Window)
		}
		return l, p, err
	}
	if (len(s.Schema) == 0) != (len(s.Rows) == 0) || len(s.Rows) >= o.Learn {
		return l, nil, corrupt("%d rows to learn from, of %d columns", len(s.Rows), len(s.Schema))
	}
	if len(s.Schema) > 0 {
		if err := s.Schema.Check(); err != nil {
			return l, nil, corrupt("%s", err)
		}
	}
	for i, b := range s.Rows {
		row, err := decodeRow(b, s.Schema)
		if err != nil {
			return l, nil, corrupt("row %d to learn from: %s", i, err)
		}
		l.rows = append(l.rows, conform(row, s.Schema))
	}
	return l, nil, nil
}

func decodeRow(b []byte, schema frame.Schema) (frame.Row, error) {
	values, err := frame.DecodeValues(b)
	return frame.Row{Schema: schema, Values: values}, err
}

// queuedState is an event that waits: a row as numbers, a row with values, or
// else a label.
type queuedState struct {
	At       int64        `json:"at"`
	Key      uint64       `json:"key,omitempty"`
	Numbers  []byte       `json:"numbers,omitempty"` // little-endian bits of 64-bit floats
	Schema   frame.Schema `json:"schema,omitempty"`
	Values   []byte       `json:"values,omitempty"` // frame.EncodeValues
	Error    *float64     `json:"error,omitempty"`
	Replaced *float64     `json:"replaced,omitempty"`
}

func (q *queue) state() []queuedState {
	var out []queuedState
	for _, e := range q.all() {
		s := queuedState{At: e.at, Key: e.key}
		switch {
		case e.row == nil:
			s.Error, s.Replaced = ifUsable(e.err), ifUsable(e.replaced)
		case e.row.reference != nil:
			for _, x := range e.row.numbers {
				s.Numbers = appendWords(s.Numbers, []uint64{math.Float64bits(x)})
			}
		default:
			s.Schema, s.Values = e.row.row.Schema, frame.EncodeValues(nil, e.row.row.Values)
		}
		out = append(out, s)
	}
	return out
}

func ifUsable(x float64) *float64 {
	if !usable(x) {
		return nil
	}
	return &x
}

func decodeQueue(states []queuedState, reference *profile.Profile) ([]event, error) {
	events := make([]event, 0, len(states))
	for i, s := range states {
		e := event{at: s.At, key: s.Key, err: orNaN(s.Error), replaced: orNaN(s.Replaced)}
		if s.Numbers != nil || s.Values != nil {
			e.row = new(queuedRow)
		}
		switch {
		case s.Numbers != nil && (reference == nil || len(s.Numbers) != 8*len(reference.Columns())):
			return nil, corrupt("event %d has not the reference's columns", i)
		case s.Numbers != nil:
			e.row.reference = reference
			for _, bits := range words(s.Numbers) {
				e.row.numbers = append(e.row.numbers, math.Float64frombits(bits))
			}
		case s.Values != nil:
			var err error
			if e.row.row, err = decodeRow(s.Values, s.Schema); err != nil {
				return nil, corrupt("event %d: %s", i, err)
			}
		case !usable(e.err) && !usable(e.replaced):
			return nil, corrupt("event %d is neither a row nor a label", i)
		}
		events = append(events, e)
	}
	return events, nil
}

func orNaN(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}
