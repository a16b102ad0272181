package servesql

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
)

// FuzzDecodeRow: whatever is stored, reading it ends without a panic, and what
// can be read is JSON and comes back as it is.
func FuzzDecodeRow(f *testing.F) {
	schema := frame.Schema{{Name: "f", Kind: frame.Float64}, {Name: "s", Kind: frame.String}, {Name: "b", Kind: frame.Bool}, {Name: "i", Kind: frame.Int64}, {Name: "t", Kind: frame.Time}}
	for _, seed := range []string{
		`[0.5,"a\u0000\"\\",true,-9223372036854775808,0]`, `["NaN:7ff8000000001234",{"base64":"//4="},null,1,null]`,
		`["-Infinity","],{",false,1,1]`, `[1e999,"",true,1,1]`, `[1,"a`, `[]`, ``, `["NaN:1","",true,1,1]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		row, err := decodeRow(schema, text)
		if err != nil {
			return
		}
		again := appendRow(nil, row)
		require.True(t, json.Valid(again), "%s", again)
		back, err := decodeRow(schema, string(again))
		require.NoError(t, err)
		for i := range row.Values {
			require.True(t, row.Values[i] == back.Values[i], "%s: %s", text, again)
		}
	})
}

// TestFloats: numbers of few decimals, and their neighbours, come back bit by bit.
func TestFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		f := float64(r.Int64N(2e15)-1e15) / math.Pow10(r.IntN(12))
		for _, f := range []float64{f, math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1)), math.Round(f)} {
			text := string(appendFloat(nil, f))
			back, ok := parseFloat(text)
			require.True(t, ok && math.Float64bits(back) == math.Float64bits(f), "%v: %s", f, text)
		}
	}
	for f, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "-0", 1: "1", -1.5: "-1.5", 0.000001: "0.000001", 1e6: "1000000", 123456.000001: "123456.000001", 1e9: "1e+09", 1e-7: "1e-07",
	} {
		require.Equal(t, want, string(appendFloat(nil, f)))
	}
}
