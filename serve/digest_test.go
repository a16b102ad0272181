package serve

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
)

// TestDigestNeverChanges compares with a separate program in Python: stored
// logs depend on the hash.
func TestDigestNeverChanges(t *testing.T) {
	f, s := frame.FloatValue, frame.StringValue
	for _, c := range []struct {
		values []frame.Value
		want   uint64
	}{
		{nil, 0xcbf29ce484222325},
		{[]frame.Value{{}}, 0xefd01f60ba992926},
		{[]frame.Value{f(0)}, 0x8effae66271ed426},
		{[]frame.Value{frame.IntValue(0)}, 0x63d3b06562851876},
		{[]frame.Value{frame.BoolValue(false)}, 0x8a94acdc1897d165},
		{[]frame.Value{f(33.5), s("pro")}, 0x60661153068d0346},
		{[]frame.Value{s(""), s("ab")}, 0x6b6050adbb12f61d},
		{[]frame.Value{s("a"), s("b")}, 0x7621db441e4ad0ea},
		{[]frame.Value{s("größer als acht")}, 0x686c19eafb935c54},
		{[]frame.Value{frame.IntValue(-5), frame.TimeValue(1700000000123), frame.BoolValue(true), {}}, 0x9d9de6600e9e9f49},
	} {
		require.Equal(t, c.want, Digest(frame.Row{Values: c.values}), "%v", c.values)
	}
}

// TestDigestTellsRowsApart: small changes, exchanged columns and flipped signs
// make other digests.
func TestDigestTellsRowsApart(t *testing.T) {
	seen := map[uint64][]frame.Value{}
	add := func(values ...frame.Value) {
		d := Digest(frame.Row{Values: values})
		if before, ok := seen[d]; ok {
			t.Fatalf("%v and %v", before, values)
		}
		seen[d] = values
	}
	for a := -30; a < 30; a++ {
		for b := -30; b < 30; b++ {
			if a != 0 && b != 0 {
				add(frame.FloatValue(float64(a)/7), frame.FloatValue(float64(b)/7))
				add(frame.IntValue(int64(a)), frame.IntValue(int64(b)))
			}
		}
	}
}
