package servesql

import (
	"encoding/json"
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
