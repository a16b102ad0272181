package frame

import (
	"encoding/binary"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// valuesVersion is the first byte that EncodeValues writes.
const valuesVersion = 1

// The tags before each encoded value.
const (
	tagNull   = iota
	tagFloat  // 8 bytes, little-endian IEEE 754
	tagInt    // zigzag varint
	tagTime   // zigzag varint
	tagFalse  // nothing
	tagTrue   // nothing
	tagString // uvarint length, bytes
)

// EncodeValues appends a compact form of the values to dst: a version, their
// number, and for each a tag and its bits, so that every value survives, NaN
// payloads included. A schema is not stored. DecodeValues reads it.
func EncodeValues(dst []byte, values []Value) []byte {
	dst = append(dst, valuesVersion)
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	for _, v := range values {
		switch v.kind {
		case Float64:
			dst = append(dst, tagFloat)
			dst = binary.LittleEndian.AppendUint64(dst, v.bits)
		case Int64:
			dst = append(dst, tagInt)
			dst = binary.AppendVarint(dst, int64(v.bits))
		case Time:
			dst = append(dst, tagTime)
			dst = binary.AppendVarint(dst, int64(v.bits))
		case Bool:
			dst = append(dst, tagFalse+byte(v.bits))
		case String:
			dst = append(dst, tagString)
			dst = binary.AppendUvarint(dst, uint64(len(v.text)))
			dst = append(dst, v.text...)
		default:
			dst = append(dst, tagNull)
		}
	}
	return dst
}

// DecodeValues reads what EncodeValues wrote, all of b. The values do not
// share b's memory. Errors: Unsupported for a newer version, Corrupt for
// anything else that EncodeValues did not write.
func DecodeValues(b []byte) ([]Value, error) {
	if len(b) == 0 {
		return nil, fault.Errorf(fault.Corrupt, "frame: decode values: no bytes")
	}
	if v := b[0]; v > valuesVersion {
		return nil, fault.Errorf(fault.Unsupported, "frame: decode values: version %d is newer than %d, the newest this release reads; upgrade mlloop", v, valuesVersion)
	} else if v < 1 {
		return nil, fault.Errorf(fault.Corrupt, "frame: decode values: version %d", v)
	}
	n, used := binary.Uvarint(b[1:])
	rest := b[1+max(used, 0):]
	if used <= 0 || n > uint64(len(rest)) { // a value takes a byte at least
		return nil, fault.Errorf(fault.Corrupt, "frame: decode values: the number of values does not fit %d bytes", len(b))
	}
	values := make([]Value, n)
	for i := range values {
		var ok bool
		if values[i], rest, ok = decodeValue(rest); !ok {
			return nil, fault.Errorf(fault.Corrupt, "frame: decode values: value %d of %d is malformed or cut off", i, n)
		}
	}
	if len(rest) > 0 {
		return nil, fault.Errorf(fault.Corrupt, "frame: decode values: %d bytes after the last value", len(rest))
	}
	return values, nil
}

// decodeValue reads one value and returns the bytes after it.
func decodeValue(b []byte) (v Value, rest []byte, ok bool) {
	if len(b) == 0 {
		return Value{}, nil, false
	}
	tag, b := b[0], b[1:]
	switch tag {
	case tagNull:
		return Value{}, b, true
	case tagFalse, tagTrue:
		return BoolValue(tag == tagTrue), b, true
	case tagFloat:
		if len(b) < 8 {
			return Value{}, nil, false
		}
		return FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:], true
	case tagInt, tagTime:
		i, used := binary.Varint(b)
		if used <= 0 {
			return Value{}, nil, false
		}
		if tag == tagTime {
			return TimeValue(i), b[used:], true
		}
		return IntValue(i), b[used:], true
	case tagString:
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return Value{}, nil, false
		}
		end := used + int(n)
		return StringValue(string(b[used:end])), b[end:], true
	}
	return Value{}, nil, false
}
