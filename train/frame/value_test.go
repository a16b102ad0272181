package frame_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// edgeValues are the values that break careless code.
var edgeValues = []frame.Value{
	{},
	frame.FloatValue(0), frame.FloatValue(math.Copysign(0, -1)), frame.FloatValue(0.1), frame.FloatValue(-1e-320),
	frame.FloatValue(math.MaxFloat64), frame.FloatValue(math.Inf(1)), frame.FloatValue(math.Inf(-1)), frame.FloatValue(math.NaN()),
	frame.IntValue(0), frame.IntValue(-1), frame.IntValue(math.MaxInt64), frame.IntValue(math.MinInt64),
	frame.BoolValue(false), frame.BoolValue(true),
	frame.StringValue(""), frame.StringValue("NaN"), frame.StringValue("a,\"b\"\nç€😀\x00"),
	frame.TimeValue(0), frame.TimeValue(-1), frame.TimeValue(1_797_379_200_123), frame.TimeValue(math.MaxInt64), frame.TimeValue(math.MinInt64),
}

// randomValue draws a value of the kind, or now and then a null.
func randomValue(rng *rand.Rand, kind frame.Kind) frame.Value {
	if rng.IntN(5) == 0 {
		return frame.Value{}
	}
	switch kind {
	case frame.Float64:
		if rng.IntN(10) == 0 {
			return frame.FloatValue([...]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[rng.IntN(4)])
		}
		return frame.FloatValue(math.Round(rng.NormFloat64()*1e6) / 1e3)
	case frame.Int64:
		return frame.IntValue(int64(rng.Uint64()) >> rng.IntN(64))
	case frame.Bool:
		return frame.BoolValue(rng.IntN(2) == 0)
	case frame.Time:
		return frame.TimeValue(rng.Int64N(4e12) - 1e12)
	}
	const letters = "aé€,\"' \n\t-0x"
	var b strings.Builder
	b.WriteString("s") // an empty text is a matter of its own
	for range rng.IntN(6) {
		r := []rune(letters)
		b.WriteRune(r[rng.IntN(len(r))])
	}
	return frame.StringValue(b.String())
}

var kinds = []frame.Kind{frame.Float64, frame.Int64, frame.Bool, frame.String, frame.Time}

func TestValueAsNumberAndText(t *testing.T) {
	cases := []struct {
		value frame.Value
		float float64
		int   int64
		text  string
	}{
		{frame.Value{}, math.NaN(), 0, ""},
		{frame.FloatValue(2.75), 2.75, 2, "2.75"},
		{frame.FloatValue(-2.75), -2.75, -2, "-2.75"},
		{frame.FloatValue(math.NaN()), math.NaN(), 0, "NaN"},
		{frame.FloatValue(1e300), 1e300, math.MaxInt64, "1e+300"},
		{frame.FloatValue(math.Inf(-1)), math.Inf(-1), math.MinInt64, "-Inf"},
		{frame.IntValue(-7), -7, -7, "-7"},
		{frame.BoolValue(true), 1, 1, "true"},
		{frame.BoolValue(false), 0, 0, "false"},
		{frame.TimeValue(1500), 1500, 1500, "1500"},
		{frame.StringValue("12"), math.NaN(), 0, "12"},
	}
	for _, c := range cases {
		require.True(t, frame.FloatValue(c.float).Equal(frame.FloatValue(c.value.Float())), "%v", c)
		require.Equal(t, c.int, c.value.Int())
		require.Equal(t, c.text, c.value.Text())
	}
}

func TestValueOrderIsTotal(t *testing.T) {
	for i, a := range edgeValues {
		require.True(t, a.Equal(a), "%v equals itself", a)
		require.Equal(t, a, a)
		for j, b := range edgeValues {
			require.Equal(t, -b.Compare(a), a.Compare(b))
			require.Equal(t, a.Kind() == b.Kind() && a.Compare(b) == 0, a.Equal(b))
			if i != j && a.Equal(b) {
				require.Zero(t, a.Float(), "of the edge values only 0 and -0 are equal")
			}
			for _, c := range edgeValues {
				if a.Compare(b) <= 0 && b.Compare(c) <= 0 {
					require.LessOrEqual(t, a.Compare(c), 0)
				}
			}
		}
	}
	require.Negative(t, frame.Value{}.Compare(frame.BoolValue(false)), "null comes first")
	require.True(t, frame.FloatValue(math.NaN()).Equal(frame.FloatValue(-math.NaN())))
	require.False(t, frame.IntValue(1).Equal(frame.FloatValue(1)), "kinds differ")
}

func TestParseValueReadsText(t *testing.T) {
	for _, v := range edgeValues {
		if v.IsNull() {
			continue
		}
		got, err := frame.ParseValue(v.Kind(), v.Text())
		require.NoError(t, err)
		require.True(t, v.Equal(got), "%q", v.Text())
	}
	for text, ms := range map[string]int64{
		"1970-01-02": 86_400_000, "1970-01-01T00:00:01Z": 1000, "1970-01-01T02:00:00+02:00": 0,
		"1970-01-01 00:00:00.0019": 1, "1969-12-31T23:59:59.999": -1, "86400000": 86_400_000,
	} {
		v, err := frame.ParseValue(frame.Time, text)
		require.NoError(t, err)
		require.Equal(t, frame.TimeValue(ms), v, text)
	}
	for _, k := range kinds {
		v, err := frame.ParseValue(k, "")
		require.NoError(t, err)
		require.Equal(t, k != frame.String, v.IsNull())
	}
}

func TestParseValueErrors(t *testing.T) {
	for _, c := range []struct {
		kind       frame.Kind
		text, want string
	}{
		{frame.Float64, "abc", `value "abc" is no float64`},
		{frame.Float64, "1e999", `value "1e999" is out of range for float64`},
		{frame.Int64, "1.0", `value "1.0" is no int64`},
		{frame.Int64, "9223372036854775808", `value "9223372036854775808" is out of range for int64`},
		{frame.Bool, "ja", `value "ja" is no bool`},
		{frame.Time, "yesterday", `value "yesterday" is no time (milliseconds since 1970 or RFC 3339)`},
		{"decimal", "1", `value "1": unknown kind "decimal"`},
		{frame.Null, "1", `value "1": unknown kind ""`},
	} {
		_, err := frame.ParseValue(c.kind, c.text)
		require.ErrorIs(t, err, fault.Invalid)
		require.EqualError(t, err, c.want)
	}
}

func TestValueJSON(t *testing.T) {
	for _, v := range edgeValues {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		var back frame.Value
		require.NoError(t, json.Unmarshal(b, &back))
		require.True(t, v.Equal(back), "%s", b)
		require.Equal(t, v.Text(), back.Text(), "-0 keeps its sign")
	}
	b, err := json.Marshal(frame.IntValue(math.MaxInt64))
	require.NoError(t, err)
	require.Equal(t, `{"kind":"int64","text":"9223372036854775807"}`, string(b))

	_, err = json.Marshal(frame.StringValue("\xff"))
	require.ErrorIs(t, err, fault.Invalid)
	for _, bad := range []string{`1`, `{"kind":"int64","text":""}`, `{"kind":"","text":"x"}`, `{"kind":"int64","text":"x"}`, `{"kind":"x","text":"1"}`} {
		var v frame.Value
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &v), fault.Invalid, bad)
		require.True(t, v.IsNull(), "a failed read leaves the value alone")
	}
}

func FuzzValueJSON(f *testing.F) {
	for _, v := range edgeValues {
		b, err := json.Marshal(v)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v, back frame.Value
		if json.Unmarshal(b, &v) != nil {
			return
		}
		again, err := json.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(again, &back))
		require.True(t, v.Equal(back))
	})
}

func FuzzParseValue(f *testing.F) {
	for _, v := range edgeValues {
		f.Add(string(v.Kind()), v.Text())
	}
	f.Add("time", "2026-11-23T01:02:03.456+01:00")
	f.Fuzz(func(t *testing.T, kind, text string) {
		v, err := frame.ParseValue(frame.Kind(kind), text)
		if err != nil {
			require.ErrorIs(t, err, fault.Invalid)
			return
		}
		back, err := frame.ParseValue(frame.Kind(kind), v.Text())
		require.NoError(t, err)
		require.True(t, v.Equal(back))
	})
}

func TestEncodedValues(t *testing.T) {
	b := frame.EncodeValues(nil, edgeValues)
	got, err := frame.DecodeValues(b)
	require.NoError(t, err)
	require.Equal(t, edgeValues, got, "bit for bit, -0 and NaN included")
	require.Equal(t, append([]byte("kept"), b...), frame.EncodeValues([]byte("kept"), edgeValues))

	for _, v := range []frame.Value{frame.StringValue("\xff\xfe"), frame.FloatValue(math.Float64frombits(0x7ff8000000000123))} {
		got, err := frame.DecodeValues(frame.EncodeValues(nil, []frame.Value{v}))
		require.NoError(t, err)
		require.Equal(t, []frame.Value{v}, got)
	}
	none, err := frame.DecodeValues(frame.EncodeValues(nil, nil))
	require.NoError(t, err)
	require.Empty(t, none)

	// What is stored is read by all later releases: these bytes never change.
	stored := []byte{1, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 2, 3, 3, 4, 4, 5, 6, 2, 'h', 'i'}
	want := []frame.Value{{}, frame.FloatValue(1.5), frame.IntValue(-2), frame.TimeValue(2), frame.BoolValue(false), frame.BoolValue(true), frame.StringValue("hi")}
	got, err = frame.DecodeValues(append([]byte{1, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 2, 3, 3, 4, 4, 5, 6, 2}, "hi"...))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, stored, frame.EncodeValues(nil, want))
}

func TestDecodeValuesRefuses(t *testing.T) {
	whole := frame.EncodeValues(nil, edgeValues)
	for n := range whole {
		_, err := frame.DecodeValues(whole[:n])
		require.ErrorIs(t, err, fault.Corrupt, "cut off after %d bytes", n)
	}
	_, err := frame.DecodeValues(append(whole[:len(whole):len(whole)], 0))
	require.EqualError(t, err, "frame: decode values: 1 bytes after the last value")
	_, err = frame.DecodeValues([]byte{2, 0})
	require.ErrorIs(t, err, fault.Unsupported)
	_, err = frame.DecodeValues([]byte{0, 0})
	require.ErrorIs(t, err, fault.Corrupt)
	_, err = frame.DecodeValues([]byte{1, 1, 99})
	require.ErrorIs(t, err, fault.Corrupt)
	_, err = frame.DecodeValues([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	require.ErrorIs(t, err, fault.Corrupt, "an absurd count allocates nothing")
}

func FuzzDecodeValues(f *testing.F) {
	f.Add(frame.EncodeValues(nil, edgeValues))
	f.Add([]byte{1, 3, 6, 200, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := frame.DecodeValues(b)
		if err != nil {
			require.True(t, fault.Kind(err) == fault.Corrupt || fault.Kind(err) == fault.Unsupported)
			return
		}
		back, err := frame.DecodeValues(frame.EncodeValues(nil, values))
		require.NoError(t, err)
		require.Equal(t, values, back)
	})
}

func TestRow(t *testing.T) {
	schema := frame.Schema{{"a", frame.Int64}, {"b", frame.String}}
	r := frame.Row{Schema: schema, Values: []frame.Value{frame.IntValue(1), frame.StringValue("x")}}
	require.NoError(t, r.Check())
	require.Equal(t, frame.StringValue("x"), r.Get("b"))
	require.True(t, r.Get("c").IsNull())

	r.Values = r.Values[:1]
	require.EqualError(t, r.Check(), "row has 1 values for 2 columns")
	require.True(t, r.Get("b").IsNull(), "a short row has no such value")
	r.Values = []frame.Value{frame.BoolValue(true), frame.IntValue(2)}
	require.EqualError(t, r.Check(), `column "a": value "true" is bool, want int64; column "b": value "2" is int64, want string`)
	r.Values = make([]frame.Value, 2)
	require.NoError(t, r.Check(), "nulls fit every column")
}

func TestSchemaCheckTellsEverything(t *testing.T) {
	require.NoError(t, frame.Schema{{"a", frame.Time}}.Check())
	require.EqualError(t, frame.Schema{}.Check(), "no columns")
	err := frame.Schema{{"a", frame.Int64}, {"", frame.Bool}, {"a", frame.Bool}, {"c", "decimal"}, {"\xff", frame.Bool}}.Check()
	require.ErrorIs(t, err, fault.Invalid)
	require.EqualError(t, err, `column 2 has no name; columns 1 and 3 are both named "a"; `+
		`column "c": unknown kind "decimal"; the kinds are float64, int64, bool, string and time; column 5: name "\xff" is not UTF-8`)
}

func TestMatrixRows(t *testing.T) {
	m := frame.NewMatrix(3, 2)
	m.Row(1)[1] = 5
	require.Equal(t, []float32{0, 0, 0, 5, 0, 0}, m.Data)
	require.Equal(t, 2, cap(m.Row(0)), "appending to a row must not write into the next")
}

func TestClippedTextStaysUTF8(t *testing.T) {
	_, err := frame.ParseValue(frame.Int64, strings.Repeat("é", 100))
	require.Error(t, err)
	require.True(t, utf8.ValidString(err.Error()))
	require.Less(t, len(err.Error()), 120)
}
