package servehttp

import (
	"math"
	"strconv"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

var nan = math.NaN()

// inferRequest is an inference request as it was read. It is used again for
// later requests: its strings and slices stay, so that a client that sends the
// same inputs again costs no memory.
type inferRequest struct {
	scan    scanner
	id      string
	key     string
	inputs  []frame.Tensor
	sizes   []int64 // binary_data_size of each input, -1 for one with JSON data
	outputs []wantedOutput
	names   []string
	binary  bool  // wish for outputs that say nothing themselves
	maxRows int64 // that an input may have; 0: any number
	size    int   // of the body, in bytes
}

// wantedOutput is an output that the client named.
type wantedOutput struct {
	name   string
	binary bool
	said   bool // binary was given
}

// requests holds inferRequests between uses.
type requests struct {
	pool    sync.Pool
	maxRows int64
}

func (r *requests) get() *inferRequest {
	if q, ok := r.pool.Get().(*inferRequest); ok {
		return q
	}
	return &inferRequest{maxRows: r.maxRows}
}

// maxKept is the size of the body, binary tensors included, up to which a
// request's memory is kept.
const maxKept = 256 << 10

// put keeps the memory of a request for the next one, as long as it is little:
// what this request did not use, an earlier one left, and is let go. So never
// more is kept than one request of maxKept bytes takes.
func (r *requests) put(q *inferRequest) {
	if q.size > maxKept {
		return
	}
	q.scan.b = nil
	clear(q.inputs[len(q.inputs):cap(q.inputs)])
	clear(q.outputs[len(q.outputs):cap(q.outputs)])
	clear(q.names[len(q.names):cap(q.names)])
	r.pool.Put(q)
}

// decode reads an inference request: JSON, then the binary tensors. Errors:
// Invalid. What is wrong with one input alone is left in its Data as an error.
func (q *inferRequest) decode(header, tensors []byte) error {
	s := &q.scan
	s.b, s.at = header, 0
	q.id, q.key, q.binary, q.size = "", "", false, len(header)+len(tensors)
	q.inputs, q.sizes, q.outputs, q.names = q.inputs[:0], q.sizes[:0], q.outputs[:0], q.names[:0]
	var seen members
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "id":
			return seen.once(s, 1, func() (err error) { q.id, err = s.string(); return err })
		case "parameters":
			return seen.once(s, 2, q.parameters)
		case "inputs":
			return seen.once(s, 4, func() error { return s.array(q.input) })
		case "outputs":
			return seen.once(s, 8, func() error { return s.array(q.output) })
		}
		return s.skip(0)
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return err
	}
	return q.readBinary(tensors)
}

// members notes which members of an object were seen, as bits.
type members uint8

// once reads a member with read. null is as good as absent; a repeated member
// is an error, because readers of JSON differ over which one counts.
func (m *members) once(s *scanner, bit members, read func() error) error {
	if *m&bit != 0 {
		return s.errorf("the member is given twice")
	}
	*m |= bit
	if s.literal("null") {
		return nil
	}
	return read()
}

// parameters reads the request's parameters: key, and the wish for binary outputs.
func (q *inferRequest) parameters() error {
	s := &q.scan
	var seen members
	return s.object(func(name []byte) error {
		switch string(name) {
		case "key":
			return seen.once(s, 1, func() (err error) { q.key, err = s.scalar(); return err })
		case "binary_data_output":
			return seen.once(s, 2, func() (err error) { q.binary, err = s.flag("binary_data_output"); return err })
		}
		return s.skip(0)
	})
}

// flag reads the truth value of a parameter.
func (s *scanner) flag(name string) (bool, error) {
	b, err := s.bool()
	if err != nil {
		return false, s.errorf("parameter %s: want true or false, found %s", name, s.found())
	}
	return b, nil
}

// scalar reads a string, or a number as its text.
func (s *scanner) scalar() (string, error) {
	if s.space() == '"' {
		return s.string()
	}
	n, err := s.number()
	if err != nil {
		return "", s.errorf("want a string or a number, found %s", s.found())
	}
	return string(n.text), nil
}

// input reads one input tensor.
func (q *inferRequest) input() error {
	s := &q.scan
	t, old := q.next()
	size, at := int64(-1), -1 // binary_data_size, and where data is
	var seen members
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "name":
			return seen.once(s, 1, func() (err error) { t.Name, err = s.same(old.Name); return err })
		case "datatype":
			return seen.once(s, 2, func() (err error) { t.Datatype, err = s.datatype(old.Datatype); return err })
		case "shape":
			return seen.once(s, 4, func() error { return q.shape(t) })
		case "parameters":
			return seen.once(s, 8, func() (err error) { size, err = s.binarySize(); return err })
		case "data":
			return seen.once(s, 16, func() error {
				at = s.at
				if seen&(2|4) == 2|4 {
					return q.jsonData(t, old.Data)
				}
				return s.skip(0) // finish reads it, when datatype and shape are known
			})
		}
		return s.skip(0)
	})
	if err != nil {
		return err
	}
	if t.Name == "" {
		return fault.Errorf(fault.Invalid, "input %d has no name", len(q.inputs)-1)
	}
	q.sizes = append(q.sizes, size)
	return q.finish(t, old.Data, at, size)
}

// next makes room for one more input, with the memory of an earlier request's
// shape, and returns what that request left there: its strings are likely to
// come again, its data to have the same length.
func (q *inferRequest) next() (t *frame.Tensor, old frame.Tensor) {
	if len(q.inputs) < cap(q.inputs) {
		q.inputs = q.inputs[:len(q.inputs)+1]
	} else {
		q.inputs = append(q.inputs, frame.Tensor{})
	}
	t = &q.inputs[len(q.inputs)-1]
	old = *t
	*t = frame.Tensor{Shape: t.Shape[:0]}
	return t, old
}

// finish reads data that came before what it needs, and tells what is missing.
func (q *inferRequest) finish(t *frame.Tensor, old any, at int, size int64) error {
	switch {
	case at >= 0 && size >= 0:
		t.Data = fault.Errorf(fault.Invalid, "it has both data and binary_data_size")
	case at < 0 && size < 0:
		t.Data = fault.Errorf(fault.Invalid, "it has neither data nor binary_data_size")
	case at >= 0 && t.Data == nil:
		end := q.scan.at
		q.scan.at = at
		if err := q.jsonData(t, old); err != nil {
			return err
		}
		q.scan.at = end
	}
	return nil
}

// jsonData reads a tensor's data, or leaves the problem in its place.
func (q *inferRequest) jsonData(t *frame.Tensor, old any) error {
	if err := q.checkRows(t); err != nil {
		return err
	}
	bad, err := q.scan.data(t, old)
	if bad != nil {
		t.Data = bad
	}
	return err
}

// checkRows refuses a batch that is too long before it takes any memory: its
// elements may need several times what they need in the body.
func (q *inferRequest) checkRows(t *frame.Tensor) error {
	if q.maxRows > 0 && len(t.Shape) > 0 && t.Shape[0] > q.maxRows {
		return fault.Errorf(fault.Invalid, "input %q: the batch has %d rows, at most %d are taken: send it in parts", t.Name, t.Shape[0], q.maxRows)
	}
	return nil
}

// same reads a string, which is likely to be what it was in the last request.
func (s *scanner) same(last string) (string, error) {
	if s.space() != '"' {
		return "", s.errorf("want a string, found %s", s.found())
	}
	t, err := s.text()
	if string(t) == last {
		return last, err
	}
	return string(t), err
}

func (s *scanner) datatype(last frame.Datatype) (frame.Datatype, error) {
	d, err := s.same(string(last))
	return frame.Datatype(d), err
}

func (q *inferRequest) shape(t *frame.Tensor) error {
	s := &q.scan
	return s.array(func() error {
		n, err := s.number()
		if err != nil {
			return err
		}
		d, err := strconv.ParseInt(string(n.text), 10, 64)
		if err != nil || len(t.Shape) == maxRank {
			return s.errorf("a shape has at most %d dimensions, each an integer; found %s", maxRank, clip(n.text))
		}
		t.Shape = append(t.Shape, d)
		return nil
	})
}

// binarySize reads an input's parameters and returns its binary_data_size, -1 when there is none.
func (s *scanner) binarySize() (int64, error) {
	size := int64(-1)
	var seen members
	err := s.object(func(name []byte) error {
		if string(name) != "binary_data_size" {
			return s.skip(0)
		}
		return seen.once(s, 1, func() error {
			n, err := s.number()
			if err != nil {
				return err
			}
			if size, err = n.signed(64); err != nil || size < 0 {
				return s.errorf("binary_data_size %s: want a number of bytes", clip(n.text))
			}
			return nil
		})
	})
	return size, err
}

// output reads one wanted output.
func (q *inferRequest) output() error {
	s := &q.scan
	var w wantedOutput
	var seen members
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "name":
			return seen.once(s, 1, func() (err error) { w.name, err = s.string(); return err })
		case "parameters":
			return seen.once(s, 2, func() error { return s.binaryData(&w) })
		}
		return s.skip(0)
	})
	if err != nil {
		return err
	}
	if w.name == "" {
		return fault.Errorf(fault.Invalid, "output %d has no name", len(q.outputs))
	}
	q.outputs, q.names = append(q.outputs, w), append(q.names, w.name)
	return nil
}

// binaryData reads an output's parameters: the wish for its binary form.
func (s *scanner) binaryData(w *wantedOutput) error {
	var seen members
	return s.object(func(name []byte) error {
		if string(name) != "binary_data" {
			return s.skip(0)
		}
		return seen.once(s, 1, func() (err error) {
			w.said = true
			w.binary, err = s.flag("binary_data")
			return err
		})
	})
}

// wantsBinary reports how the client wants an output.
func (q *inferRequest) wantsBinary(name string) bool {
	for _, w := range q.outputs {
		if w.name == name && w.said {
			return w.binary
		}
	}
	return q.binary
}
