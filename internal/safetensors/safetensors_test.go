package safetensors_test

import (
	"encoding/binary"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/safetensors"
)

// golden was written by the Python package safetensors 0.8.0, see testdata/golden.py.
func golden(t testing.TB) []byte {
	data, err := os.ReadFile("testdata/golden.safetensors")
	require.NoError(t, err)
	return data
}

func tensor[T safetensors.Element](t testing.TB, values []T, shape ...int64) safetensors.Tensor {
	got, err := safetensors.New(values, shape...)
	require.NoError(t, err)
	return got
}

func TestReadsWhatPythonWrote(t *testing.T) {
	f, err := safetensors.Decode(golden(t))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"format": `mlloop <1> "é"`}, f.Metadata)
	require.Len(t, f.Tensors, 14)

	requireValues(t, f, "bool", []bool{true, false, true})
	requireValues(t, f, "u8", []uint8{0, 1, 255})
	requireValues(t, f, "i8", []int8{-128, 0, 127})
	requireValues(t, f, "i16", []int16{math.MinInt16, math.MaxInt16})
	requireValues(t, f, "u16", []uint16{0, math.MaxUint16})
	requireValues(t, f, "i32", []int32{math.MinInt32, math.MaxInt32})
	requireValues(t, f, "u32", []uint32{0, math.MaxUint32})
	requireValues(t, f, "f32", []float32{1.5, -0.1, float32(math.Inf(1))})
	requireValues(t, f, "i64", []int64{math.MinInt64, math.MaxInt64})
	requireValues(t, f, "u64", []uint64{0, math.MaxUint64})
	requireValues(t, f, "name \"with\" <marks> & é 😀", []float64{1})
	requireValues(t, f, "scalar", []float64{3.25})
	requireValues(t, f, "empty", []float64{})

	require.Empty(t, f.Tensors["scalar"].Shape)
	require.Equal(t, []int64{0, 3}, f.Tensors["empty"].Shape)
	weight := f.Tensors["dense.0.weight"]
	require.Equal(t, []int64{2, 3}, weight.Shape)
	values, err := safetensors.Values[float64](weight)
	require.NoError(t, err)
	require.Equal(t, []float64{0.1, -2.5, 1e-300}, values[:3])
	require.True(t, math.IsNaN(values[3]))
	require.Equal(t, []float64{math.Inf(1), math.Inf(-1)}, values[4:])
}

func requireValues[T safetensors.Element](t *testing.T, f safetensors.File, name string, want []T) {
	t.Helper()
	got, err := safetensors.Values[T](f.Tensors[name])
	require.NoError(t, err, name)
	require.Equal(t, want, got, name)
}

func TestWritesTheBytesThatPythonWrites(t *testing.T) {
	f, err := safetensors.Decode(golden(t))
	require.NoError(t, err)
	again, err := safetensors.Encode(f)
	require.NoError(t, err)
	require.Equal(t, string(golden(t)), string(again))
}

func TestEncodeIsDeterministicAndAligned(t *testing.T) {
	f := safetensors.File{
		Tensors: map[string]safetensors.Tensor{
			"b": tensor(t, []float64{1, 2}, 2), "a": tensor(t, []float64{3}), "c": tensor(t, []bool{true}, 1),
			"d": tensor(t, []float32{}, 0), "\u2028\x00\"": tensor(t, []int16{7, 8, 9}, 3, 1),
		},
		Metadata: map[string]string{"z": "1", "a": "2"},
	}
	first, err := safetensors.Encode(f)
	require.NoError(t, err)
	for range 20 {
		again, err := safetensors.Encode(f)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	require.Zero(t, binary.LittleEndian.Uint64(first)%8, "elements begin at a multiple of eight")
	back, err := safetensors.Decode(first)
	require.NoError(t, err)
	require.Equal(t, f, back)
}

func TestEncodeNamesEveryProblem(t *testing.T) {
	_, err := safetensors.Encode(safetensors.File{
		Tensors: map[string]safetensors.Tensor{
			"__metadata__": tensor(t, []bool{true}, 1),
			"short":        {Dtype: safetensors.F64, Shape: []int64{2}, Data: make([]byte, 8)},
			"odd":          {Dtype: "F4", Shape: []int64{2}, Data: make([]byte, 1)},
			"negative":     {Dtype: safetensors.F64, Shape: []int64{-1}, Data: make([]byte, 8)},
			"bad\xff":      tensor(t, []bool{true}, 1),
		},
		Metadata: map[string]string{"k": "\xff"},
	})
	require.ErrorIs(t, err, fault.Invalid)
	for _, want := range []string{"__metadata__", "short", "F4", "negative", `bad\xff`, `metadata "k"`} {
		require.ErrorContains(t, err, want)
	}
}

func TestNewAndValuesCheckShapeAndType(t *testing.T) {
	_, err := safetensors.New([]float64{1, 2, 3}, 2)
	require.ErrorIs(t, err, fault.Invalid)
	_, err = safetensors.New([]float64{1, 2, 3})
	require.ErrorIs(t, err, fault.Invalid, "three values are no scalar")
	_, err = safetensors.New([]float64{}, math.MaxInt64, math.MaxInt64)
	require.ErrorIs(t, err, fault.Invalid)
	_, err = safetensors.Values[float32](tensor(t, []float64{1}, 1))
	require.ErrorContains(t, err, `"F64", not F32`)
	_, err = safetensors.Values[float64](safetensors.Tensor{Dtype: safetensors.F64, Shape: []int64{3}})
	require.ErrorIs(t, err, fault.Invalid)
}

// file builds a file by hand from a header and elements.
func file(header string, elements int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, elements)...)
}

func TestDecodeRefuses(t *testing.T) {
	cases := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "too few"},
		{"a header length beyond the limit", []byte{255, 255, 255, 255, 255, 255, 255, 255}, "the format allows"},
		{"a header beyond the file", []byte{9, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, "cut short"},
		{"an empty header", file("", 0), "not a JSON object"},
		{"a header that begins with a space", file(" {}", 0), "not a JSON object"},
		{"a header that is no UTF-8", file("{\"\xff\":{}}", 0), "UTF-8"},
		{"an unfinished header", file(`{"a":{"dtype":"F32"`, 0), "the header"},
		{"two objects", file(`{}{}`, 0), "goes on"},
		{"metadata that is no string", file(`{"__metadata__":{"k":1}}`, 0), "a string belongs"},
		{"nested metadata", file(`{"__metadata__":{"k":{}}}`, 0), "a string belongs"},
		{"a tensor twice", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "comes twice"},
		{"a key twice", file(`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "comes twice"},
		{"an unknown key", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1), "unknown key"},
		{"no shape", file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), "missing"},
		{"a null shape", file(`{"a":{"dtype":"U8","shape":null,"data_offsets":[0,1]}}`, 1), "where ["},
		{"a null dimension", file(`{"a":{"dtype":"U8","shape":[null],"data_offsets":[0,1]}}`, 1), "an integer"},
		{"a fraction", file(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1), "an integer"},
		{"a negative dimension", file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), "an integer"},
		{"three offsets", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1), "3 numbers"},
		{"an overflowing shape", file(`{"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0), "too large"},
		{"a wrong size", file(`{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}`, 8), "takes 16 bytes, it has 8"},
		{"a hole", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "holes and overlaps"},
		{"an overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "holes and overlaps"},
		{"an end before the begin", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1), "cut short"},
		{"too few elements", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 3), "cut short"},
		{"bytes left over", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2), "after the last tensor"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := safetensors.Decode(c.data)
			require.ErrorIs(t, err, fault.Corrupt)
			require.NotErrorIs(t, err, fault.Invalid)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := safetensors.Decode(file(`{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`, 1))
	require.ErrorIs(t, err, fault.Unsupported)
}

func TestEveryTruncationIsFoundOut(t *testing.T) {
	data := golden(t)
	for n := range data {
		_, err := safetensors.Decode(data[:n])
		require.ErrorIs(t, err, fault.Corrupt, "cut after %d bytes", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(golden(f))
	f.Add(file(`{}`, 0))
	f.Add(file(`{"__metadata__":{"a":"b"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  `, 1))
	f.Add(file(strings.Repeat("[", 1000), 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := safetensors.Decode(data)
		if err != nil {
			require.NotNil(t, fault.Kind(err), "%v", err)
			return
		}
		again, err := safetensors.Encode(first)
		require.NoError(t, err)
		second, err := safetensors.Decode(again)
		require.NoError(t, err)
		require.Equal(t, first.Tensors, second.Tensors)
		require.Equal(t, len(first.Metadata), len(second.Metadata))
		for k, v := range first.Metadata {
			require.Equal(t, v, second.Metadata[k])
		}
	})
}
