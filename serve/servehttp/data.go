package servehttp

import (
	"bytes"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// maxRank is how many dimensions a tensor may have.
const maxRank = 16

// elements returns how many elements a shape has. Errors: Invalid when it has
// a negative dimension or more elements than limit.
func elements(shape []int64, limit int) (int, error) {
	if slices.ContainsFunc(shape, func(d int64) bool { return d < 0 }) {
		return 0, fault.Errorf(fault.Invalid, "shape %v has a negative dimension", shape)
	}
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	n := int64(1)
	for _, d := range shape {
		// Dividing keeps the product from overflowing.
		if n > int64(limit)/d {
			return 0, fault.Errorf(fault.Invalid, "shape %v has more elements than the body can hold", shape)
		}
		n *= d
	}
	return int(n), nil
}

// data reads a tensor's data, flat or nested as its shape is, into the slice of
// its datatype; old is a slice of an earlier request to be used again. An
// unreadable element is told apart from broken JSON: bad is the tensor's
// problem, after which the scanner stands behind the data all the same.
func (s *scanner) data(t *frame.Tensor, old any) (bad, err error) {
	start := s.at
	t.Data, err = s.typed(t.Datatype, t.Shape, old)
	if err == nil {
		return nil, nil
	}
	stopped := s.at
	s.at = start
	if syntax := s.skip(0); syntax != nil {
		s.at = stopped
		return nil, syntax
	}
	return err, nil
}

// typed dispatches on the datatype.
func (s *scanner) typed(d frame.Datatype, shape []int64, old any) (any, error) {
	switch d {
	case frame.FP64:
		return fill(s, shape, old, (*scanner).float64)
	case frame.FP32:
		return fill(s, shape, old, (*scanner).float32)
	case frame.INT64:
		return fill(s, shape, old, signed[int64](64))
	case frame.INT32:
		return fill(s, shape, old, signed[int32](32))
	case frame.INT16:
		return fill(s, shape, old, signed[int16](16))
	case frame.INT8:
		return fill(s, shape, old, signed[int8](8))
	case frame.UINT64:
		return fill(s, shape, old, unsigned[uint64](64))
	case frame.UINT32:
		return fill(s, shape, old, unsigned[uint32](32))
	case frame.UINT16:
		return fill(s, shape, old, unsigned[uint16](16))
	case frame.UINT8:
		return fill(s, shape, old, unsigned[uint8](8))
	case frame.BOOL:
		return fill(s, shape, old, (*scanner).bool)
	case frame.BYTES:
		return fill(s, shape, old, (*scanner).string)
	}
	return nil, fault.Errorf(fault.Invalid, "datatype %q is unknown", d)
}

// fill reads data into a slice, which is old when its length is right already:
// then not even the interface around it is made anew.
func fill[T any](s *scanner, shape []int64, old any, value func(*scanner) (T, error)) (any, error) {
	n, err := elements(shape, len(s.b))
	if err != nil {
		return nil, err
	}
	reuse, _ := old.([]T)
	if len(reuse) != n {
		reuse = nil // a longer slice would stay in the pool behind the short one
	}
	dst, err := nest(s, reuse[:0], shape, n, value)
	if err != nil {
		return nil, err
	}
	if len(dst) != n {
		return nil, countError(len(dst), n, shape)
	}
	if n > 0 && len(reuse) == n {
		return old, nil
	}
	return dst, nil
}

func countError(got, want int, shape []int64) error {
	return fault.Errorf(fault.Invalid, "data has %d elements, shape %v wants %d", got, shape, want)
}

// nest reads an array of values, or an array of arrays when the next one is
// nested: those have the lengths that the shape says, all the way down.
func nest[T any](s *scanner, dst []T, shape []int64, want int, value func(*scanner) (T, error)) ([]T, error) {
	if s.space() != '[' {
		return nil, fault.Errorf(fault.Invalid, "data is no array")
	}
	s.at++
	switch s.space() {
	case ']':
		s.at++
		return dst, nil
	case '[':
		return nestArrays(s, dst, shape, want, value)
	}
	for {
		s.space()
		v, err := value(s)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "element %d: %w", len(dst), err)
		}
		if len(dst) == want {
			return nil, fault.Errorf(fault.Invalid, "data has more elements than the %d of shape %v", want, shape)
		}
		if len(dst) == cap(dst) {
			dst = room(s, dst, want)
		}
		dst = append(dst, v)
		if more, err := s.more(']'); !more {
			return dst, err
		}
	}
}

// room makes space for the element that was just read and those after it: for
// as many as there are commas up to the next bracket, which is all of a flat
// array of numbers, so that a large one is allocated once, and a shape that
// promises more than comes reserves nothing.
func room[T any](s *scanner, dst []T, want int) []T {
	rest := s.b[s.at:]
	if end := bytes.IndexByte(rest, ']'); end >= 0 {
		rest = rest[:end]
	}
	more := bytes.Count(rest, []byte{','})
	if _, text := any(dst).([]string); text {
		more = min(more, len(rest)/len(`"",`)) // commas may be within strings
	}
	n := min(want, max(len(dst)+1+more, 4*cap(dst)))
	return append(make([]T, 0, n), dst...)
}

// nestArrays reads the arrays of one dimension, the opening bracket of the
// first being next.
func nestArrays[T any](s *scanner, dst []T, shape []int64, want int, value func(*scanner) (T, error)) ([]T, error) {
	if len(shape) < 2 {
		return nil, fault.Errorf(fault.Invalid, "data is nested deeper than its shape")
	}
	inner := 1
	for _, d := range shape[1:] {
		inner *= int(d)
	}
	count := int64(0)
	for {
		before := len(dst)
		var err error
		if dst, err = nestInner(s, dst, shape[1:], want, value); err != nil {
			return nil, err
		}
		if count++; len(dst)-before != inner {
			return nil, fault.Errorf(fault.Invalid, "a part of the data has %d elements, shape %v wants %d", len(dst)-before, shape[1:], inner)
		}
		more, err := s.more(']')
		if err != nil {
			return nil, err
		}
		if !more && count != shape[0] {
			return nil, fault.Errorf(fault.Invalid, "data has %d parts, shape %v wants %d", count, shape, shape[0])
		}
		if !more {
			return dst, nil
		}
	}
}

// nestInner reads one nested array, which goes all the way down: only the
// outermost array may be flat.
func nestInner[T any](s *scanner, dst []T, shape []int64, want int, value func(*scanner) (T, error)) ([]T, error) {
	if s.space() == '[' && len(shape) > 1 {
		at := s.at
		s.at++
		if c := s.space(); c != '[' && c != ']' {
			return nil, fault.Errorf(fault.Invalid, "data is neither flat nor nested as its shape is")
		}
		s.at = at
	}
	return nest(s, dst, shape, want, value)
}

// float64 reads a number. null is NaN, for which JSON has no other word.
func (s *scanner) float64() (float64, error) { return s.float(64) }

func (s *scanner) float32() (float32, error) {
	f, err := s.float(32)
	return float32(f), err
}

func (s *scanner) float(bits int) (float64, error) {
	if s.literal("null") {
		return nan, nil
	}
	n, err := s.number()
	if err != nil {
		return 0, fault.Errorf(fault.Invalid, "want a number, found %s", s.found())
	}
	f, err := n.float(bits)
	if err != nil {
		return 0, fault.Errorf(fault.Invalid, "%s is out of the range of FP%d", clip(n.text), bits)
	}
	return f, nil
}

// signed returns a reader of integers of so many bits.
func signed[T int8 | int16 | int32 | int64](bits int) func(*scanner) (T, error) {
	return func(s *scanner) (T, error) {
		n, err := s.number()
		if err != nil {
			return 0, fault.Errorf(fault.Invalid, "want an integer, found %s", s.found())
		}
		i, err := n.signed(bits)
		if err != nil {
			return 0, fault.Errorf(fault.Invalid, "%s is no INT%d", clip(n.text), bits)
		}
		return T(i), nil
	}
}

// unsigned returns a reader of integers from 0 of so many bits.
func unsigned[T uint8 | uint16 | uint32 | uint64](bits int) func(*scanner) (T, error) {
	return func(s *scanner) (T, error) {
		n, err := s.number()
		if err != nil {
			return 0, fault.Errorf(fault.Invalid, "want an integer, found %s", s.found())
		}
		i, err := n.unsigned(bits)
		if err != nil {
			return 0, fault.Errorf(fault.Invalid, "%s is no UINT%d", clip(n.text), bits)
		}
		return T(i), nil
	}
}

func (s *scanner) bool() (bool, error) {
	switch {
	case s.literal("true"):
		return true, nil
	case s.literal("false"):
		return false, nil
	}
	return false, fault.Errorf(fault.Invalid, "want true or false, found %s", s.found())
}

func (s *scanner) string() (string, error) {
	if s.space() != '"' {
		return "", fault.Errorf(fault.Invalid, "want a string, found %s", s.found())
	}
	t, err := s.text()
	return string(t), err
}

// clip shortens what an error message quotes.
func clip(text []byte) string {
	const most = 40
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
