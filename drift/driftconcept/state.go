package driftconcept

import (
	"encoding/binary"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// A state is a byte for the detector, a byte for the format's version, and
// 8-byte little-endian words: integers, or IEEE 754 bits.
const stateVersion = 1

// The detectors' bytes.
const (
	pageHinkleyState = 'P'
	adwinState       = 'A'
	ddmState         = 'D'
	hddmWState       = 'W'
)

type stateWriter []byte

func newState(kind byte) stateWriter { return stateWriter{kind, stateVersion} }

func (w *stateWriter) float(values ...float64) {
	for _, v := range values {
		*w = binary.LittleEndian.AppendUint64(*w, math.Float64bits(v))
	}
}

func (w *stateWriter) int(values ...int) {
	for _, v := range values {
		*w = binary.LittleEndian.AppendUint64(*w, uint64(int64(v)))
	}
}

// stateReader reads a state and remembers the first thing that was wrong.
type stateReader struct {
	name string
	rest []byte
	err  error
}

func readState(kind byte, name string, b []byte) *stateReader {
	r := &stateReader{name: name}
	switch {
	case len(b) < 2:
		r.failf("%d bytes are too few", len(b))
	case b[0] != kind:
		r.failf("the state belongs to another detector (%q)", b[0])
	case b[1] > stateVersion:
		r.err = fault.Errorf(fault.Unsupported, "driftconcept: %s state: version %d is newer than this program's %d: run the newer mlloop", name, b[1], stateVersion)
	case b[1] != stateVersion:
		r.failf("unknown version %d", b[1])
	default:
		r.rest = b[2:]
	}
	return r
}

func (r *stateReader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = fault.Errorf(fault.Corrupt, "driftconcept: "+r.name+" state: "+format, args...)
	}
}

func (r *stateReader) word() uint64 {
	if r.err == nil && len(r.rest) < 8 {
		r.failf("it is cut short")
	}
	if r.err != nil {
		return 0
	}
	v := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

// float reads finite numbers.
func (r *stateReader) float(into ...*float64) {
	for _, p := range into {
		*p = math.Float64frombits(r.word())
		if !finite(*p) {
			r.failf("a number is not finite")
		}
	}
}

// int reads an integer in low..high.
func (r *stateReader) int(low, high int, into ...*int) {
	for _, p := range into {
		v := int64(r.word())
		if r.err == nil && (v < int64(low) || v > int64(high)) {
			r.failf("%d is outside %d..%d", v, low, high)
		}
		if r.err == nil {
			*p = int(v)
		}
	}
}

func (r *stateReader) bool(into *bool) {
	var v int
	r.int(0, 1, &v)
	*into = v == 1
}

// done reports what was wrong, left-over bytes included.
func (r *stateReader) done() error {
	if r.err == nil && len(r.rest) > 0 {
		r.failf("%d bytes are left over", len(r.rest))
	}
	return r.err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// maxRows bounds counts in a state: more items than any stream has.
const maxRows = 1 << 56
