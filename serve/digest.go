package serve

import (
	"encoding/binary"
	"math"

	"github.com/mlloop/mlloop/train/frame"
)

// Digest returns a 64-bit hash of a row's values, in their order; the names of
// the columns are not in it. It tells a request that is sent again from one that
// reuses its ID. Stored logs depend on it: it never changes.
//
// It begins with h = 0xcbf29ce484222325. Each value makes
// h = mix((h + tag·0x9e3779b97f4a7c15) xor w), where mix is the finalizer of
// MurmurHash3 (64 bit), tag is 0 for a null, 1 for a Float64, 2 Int64, 3 Time,
// 4 Bool and 5 String, and w is the bits of the float, the two's complement of
// the integer or of milliseconds since 1970, 0 or 1, and for a text its length
// in bytes. A text is followed by h = mix(h xor w) for each 8 bytes of it,
// little-endian, the last filled up with zeros.
func Digest(row frame.Row) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, v := range row.Values {
		tag, w := uint64(0), uint64(0)
		switch v.Kind() {
		case frame.Float64:
			tag, w = 1, math.Float64bits(v.Float())
		case frame.Int64:
			tag, w = 2, uint64(v.Int())
		case frame.Time:
			tag, w = 3, uint64(v.Int())
		case frame.Bool:
			tag, w = 4, uint64(v.Int())
		case frame.String:
			tag, w = 5, uint64(len(v.Text()))
		}
		h = mix((h + tag*0x9e3779b97f4a7c15) ^ w)
		if tag == 5 {
			h = digestText(h, v.Text())
		}
	}
	return h
}

func digestText(h uint64, s string) uint64 {
	var last [8]byte
	for len(s) >= 8 {
		copy(last[:], s)
		h, s = mix(h^binary.LittleEndian.Uint64(last[:])), s[8:]
	}
	if s != "" {
		last = [8]byte{}
		copy(last[:], s)
		h = mix(h ^ binary.LittleEndian.Uint64(last[:]))
	}
	return h
}

// mix is the 64-bit finalizer of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
