package servehttp

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
)

func decode(body string) (*inferRequest, error) {
	q := &inferRequest{}
	return q, q.decode([]byte(body), nil)
}

// one wraps a tensor's data in a request.
func one(datatype, shape, data string) string {
	return fmt.Sprintf(`{"inputs":[{"name":"x","datatype":%q,"shape":%s,"data":%s}]}`, datatype, shape, data)
}

func TestDecodeWholeRequest(t *testing.T) {
	q, err := decode(` {"model_name":"ignored", "id":"r\u0031", "parameters":{"key":"customer 7","other":[1,{"a":null}],"binary_data_output":true},
		"inputs":[
			{"data":[[1,2],[3,4]], "shape":[2,2], "datatype":"FP32", "name":"data first", "parameters":{"content_type":"np"}},
			{"name":"größer \"x\" 😀","shape":[1],"datatype":"BYTES","data":["a\/b\ud83d\ude00\n"], "parameters":null}
		],
		"outputs":[{"name":"label"},{"name":"probability","parameters":{"binary_data":false,"classification":3}}]}` + "\n")
	require.NoError(t, err)
	require.Equal(t, "r1", q.id)
	require.Equal(t, "customer 7", q.key)
	require.Equal(t, []frame.Tensor{
		{Name: "data first", Datatype: frame.FP32, Shape: []int64{2, 2}, Data: []float32{1, 2, 3, 4}},
		{Name: "größer \"x\" 😀", Datatype: frame.BYTES, Shape: []int64{1}, Data: []string{"a/b😀\n"}},
	}, q.inputs)
	require.Equal(t, []string{"label", "probability"}, q.names)
	require.True(t, q.wantsBinary("label"))
	require.False(t, q.wantsBinary("probability"), "what an output says wins")
}

// TestDecodeReuse: what a request leaves behind never shows in the next one.
func TestDecodeReuse(t *testing.T) {
	q := &inferRequest{}
	bodies := []string{
		one("FP64", "[3]", "[1,2,3]"), one("FP64", "[3]", "[4,5,6]"), one("FP64", "[2]", "[7,8]"), one("FP32", "[2]", "[7,8]"), one("BYTES", "[1]", `["a"]`),
		one("FP64", "[1]", `["a"]`), `{"id":"a","inputs":[],"outputs":[{"name":"y"}],"parameters":{"key":"k","binary_data_output":true}}`, one("INT64", "[1]", "[1]"), `{"inputs":[{"name":"x"}]}`,
		`{"inputs":[{"name":null}]}`, `{"inputs":[{"name":"x","datatype":null,"shape":[1],"data":[1]}]}`, `{"inputs":[{"name":"x","datatype":"FP64","shape":null,"data":[1]}]}`, `{"id":null,"outputs":null,"inputs":null}`,
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		body := bodies[r.IntN(len(bodies))]
		fresh := &inferRequest{}
		require.Equal(t, fresh.decode([]byte(body), nil), q.decode([]byte(body), nil))
		require.Equal(t, fresh.id, q.id)
		require.Equal(t, fresh.key, q.key)
		require.Equal(t, fresh.binary, q.binary)
		require.Equal(t, len(fresh.names), len(q.names))
		require.Equal(t, len(fresh.inputs), len(q.inputs))
		for i, want := range fresh.inputs {
			got := q.inputs[i]
			require.Equal(t, want.Name, got.Name)
			require.Equal(t, want.Datatype, got.Datatype)
			require.Equal(t, append([]int64{}, want.Shape...), append([]int64{}, got.Shape...))
			require.Equal(t, fmt.Sprint(want.Data), fmt.Sprint(got.Data))
		}
	}
}

// TestNullIsAbsent: wherever something may be left out, null leaves it out.
func TestNullIsAbsent(t *testing.T) {
	const x = `"name":"x","datatype":"FP64","shape":[1],"data":[1]`
	for _, c := range []struct{ with, without string }{
		{`{"id":null,"parameters":null,"outputs":null,"inputs":[{` + x + `}]}`, `{"inputs":[{` + x + `}]}`},
		{`{"parameters":{"key":null,"binary_data_output":null,"other":null},"inputs":[{` + x + `}]}`, `{"inputs":[{` + x + `}]}`},
		{`{"inputs":[{"parameters":null,` + x + `}]}`, `{"inputs":[{` + x + `}]}`},
		{`{"inputs":[{"parameters":{"binary_data_size":null,"content_type":null},` + x + `}]}`, `{"inputs":[{` + x + `}]}`},
		{`{"inputs":[{"parameters":{"binary_data_size":0},"data":null,"name":"x","datatype":"FP64","shape":[0]}]}`,
			`{"inputs":[{"parameters":{"binary_data_size":0},"name":"x","datatype":"FP64","shape":[0]}]}`},
		{`{"outputs":[{"name":"y","parameters":null}],"inputs":null}`, `{"outputs":[{"name":"y"}]}`},
		{`{"outputs":[{"name":"y","parameters":{"binary_data":null,"classification":null}}],"parameters":{"binary_data_output":true}}`,
			`{"outputs":[{"name":"y"}],"parameters":{"binary_data_output":true}}`},
	} {
		got, err := decode(c.with)
		require.NoError(t, err, c.with)
		want, err := decode(c.without)
		require.NoError(t, err, c.without)
		got.scan, got.size, want.scan, want.size = scanner{}, 0, scanner{}, 0
		require.Equal(t, want, got, c.with)
	}
}

func TestDecodeDatatypes(t *testing.T) {
	for _, c := range []struct {
		datatype, data string
		want           any
	}{
		{"BOOL", "[true, false]", []bool{true, false}},
		{"UINT8", "[0, 255]", []uint8{0, 255}},
		{"UINT16", "[0, 65535]", []uint16{0, 65535}},
		{"UINT32", "[0, 4294967295]", []uint32{0, math.MaxUint32}},
		{"UINT64", "[0, 18446744073709551615]", []uint64{0, math.MaxUint64}},
		{"INT8", "[-128, 127]", []int8{-128, 127}},
		{"INT16", "[-32768, 32767]", []int16{-32768, 32767}},
		{"INT32", "[-2147483648, 2147483647]", []int32{math.MinInt32, math.MaxInt32}},
		{"INT64", "[-9223372036854775808, 9223372036854775807]", []int64{math.MinInt64, math.MaxInt64}},
		{"FP32", "[3.4028235e38, -1e-45]", []float32{math.MaxFloat32, -math.SmallestNonzeroFloat32}},
		{"FP64", "[1.7976931348623157e308, -0]", []float64{math.MaxFloat64, math.Copysign(0, -1)}},
		{"BYTES", `["", "x"]`, []string{"", "x"}},
	} {
		q, err := decode(one(c.datatype, "[2]", c.data))
		require.NoError(t, err)
		require.Equal(t, c.want, q.inputs[0].Data, c.datatype)
		require.NoError(t, q.inputs[0].Check())
	}
	q, err := decode(one("FP64", "[2]", "[null, 1]"))
	require.NoError(t, err)
	require.True(t, math.IsNaN(q.inputs[0].Data.([]float64)[0]))
}

// TestDecodeNesting: data is flat, or nested exactly as its shape is.
func TestDecodeNesting(t *testing.T) {
	for _, c := range []struct{ why, shape, data, problem string }{
		{"flat", "[2,3]", "[1,2,3,4,5,6]", ""},
		{"nested", "[2,3]", "[[1,2,3],[4,5,6]]", ""},
		{"nested three deep", "[2,1,3]", "[[[1,2,3]],[[4,5,6]]]", ""},
		{"no rows", "[0]", "[]", ""},
		{"rows without elements", "[2,0]", "[[],[]]", ""},
		{"half nested", "[2,1,3]", "[[1,2,3],[4,5,6]]", "data is neither flat nor nested as its shape is"},
		{"too deep", "[6]", "[[1,2,3],[4,5,6]]", "data is nested deeper than its shape"},
		{"ragged", "[2,3]", "[[1,2],[3,4,5,6]]", "a part of the data has 2 elements, shape [3] wants 3"},
		{"too few parts", "[3,2]", "[[1,2],[3,4]]", "data has 2 parts, shape [3 2] wants 3"},
		{"too few", "[3]", "[1,2]", "data has 2 elements, shape [3] wants 3"},
		{"too many", "[1]", "[1,2]", "data has more elements than the 1 of shape [1]"},
		{"mixed", "[2,2]", "[[1,2],3]", "data is no array"},
		{"no array", "[1]", "1", "data is no array"},
		{"negative dimension", "[-1]", "[1]", "shape [-1] has a negative dimension"},
		{"negative dimension behind none", "[0,-64]", "[]", "shape [0 -64] has a negative dimension"},
		{"giant shape", "[4611686018427387904,4]", "[1]", "shape [4611686018427387904 4] has more elements than the body can hold"},
		{"giant shape hidden by a zero", "[0,4611686018427387904,4]", "[[1]]", "data is neither flat nor nested as its shape is"},
	} {
		q, err := decode(one("FP64", c.shape, c.data))
		require.NoError(t, err, c.why)
		if c.problem == "" {
			require.NoError(t, q.inputs[0].Check(), c.why)
			continue
		}
		require.EqualError(t, q.inputs[0].Data.(error), c.problem, c.why)
	}
}

// TestDecodeProblems: what is wrong with one input is left in it, so that it
// is told together with everything else.
func TestDecodeProblems(t *testing.T) {
	for _, c := range []struct{ tensor, problem string }{
		{`"datatype":"FP64","shape":[2],"data":[1,"2"]`, `element 1: want a number, found "\""`},
		{`"datatype":"FP64","shape":[1],"data":[1e400]`, "element 0: 1e400 is out of the range of FP64"},
		{`"datatype":"FP32","shape":[1],"data":[1e39]`, "element 0: 1e39 is out of the range of FP32"},
		{`"datatype":"INT64","shape":[1],"data":[1.0]`, "element 0: 1.0 is no INT64"},
		{`"datatype":"INT8","shape":[1],"data":[128]`, "element 0: 128 is no INT8"},
		{`"datatype":"UINT8","shape":[1],"data":[-1]`, "element 0: -1 is no UINT8"},
		{`"datatype":"BOOL","shape":[1],"data":[1]`, `element 0: want true or false, found "1"`},
		{`"datatype":"BYTES","shape":[1],"data":[1]`, `element 0: want a string, found "1"`},
		{`"datatype":"INT64","shape":[1],"data":[null]`, `element 0: want an integer, found "n"`},
		{`"datatype":"FP16","shape":[1],"data":[1]`, `datatype "FP16" is unknown`},
		{`"shape":[1],"data":[1]`, `datatype "" is unknown`},
		{`"datatype":"FP64","data":[1,2]`, "data has more elements than the 1 of shape []"},
		{`"datatype":"FP64","shape":[1]`, "it has neither data nor binary_data_size"},
		{`"datatype":"FP64","shape":[0],"data":[],"parameters":{"binary_data_size":0}`, "it has both data and binary_data_size"},
	} {
		q, err := decode(`{"inputs":[{"name":"x",` + c.tensor + `},{"name":"y","datatype":"FP64","shape":[1],"data":[1]}]}`)
		require.NoError(t, err, c.tensor)
		require.EqualError(t, q.inputs[0].Data.(error), strings.ReplaceAll(c.problem, `\"`, `"`), c.tensor)
		require.Equal(t, []float64{1}, q.inputs[1].Data, "the input after it is read all the same: %s", c.tensor)
	}
}

func TestDecodeBrokenJSON(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, c := range []struct{ body, want string }{
		{``, `byte 0: want '{', found the end`},
		{`[]`, `byte 0: want '{', found "["`},
		{`{"inputs":[`, `byte 11: want '{', found the end`},
		{`{"inputs":[}`, `byte 11: want '{', found "}"`},
		{`{"inputs":[],}`, `byte 13: want a name in quotes, found "}"`},
		{`{"inputs":[]} x`, `byte 14: want the end, found "x"`},
		{`{"inputs":[],"inputs":[]}`, `byte 22: the member is given twice`},
		{`{"parameters":{"key":"a","key":"b"}}`, `the member is given twice`},
		{`{"parameters":{"key":[]}}`, `want a string or a number, found "["`},
		{`{"parameters":{"binary_data_output":1}}`, `byte 36: parameter binary_data_output: want true or false, found "1"`},
		{`{"outputs":[{"name":"y","parameters":{"binary_data":"yes"}}]}`, `parameter binary_data: want true or false, found """`},
		{`{"inputs":[{"name":"x","parameters":{"binary_data_size":8,"binary_data_size":9}}]}`, `the member is given twice`},
		{`{"id":7}`, `want a string, found "7"`},
		{`{"id":"a` + "\n" + `"}`, `byte 8: control character 0x0a in a string: escape it`},
		{`{"id":"\x"}`, `byte 7: unknown escape \x`},
		{`{"id":"\u12g4"}`, `byte 7: \u wants four hexadecimal digits`},
		{"{\"id\":\"\xff\"}", `byte 7: the string is not UTF-8`},
		{"{\"id\":\"\\n\xff\"}", `byte 7: the string is not UTF-8`},
		{`{"id":"a`, `byte 8: the string does not end`},
		{`{"x":` + deep + `}`, `values are nested more than 64 deep`},
		{one("FP64", "[1]", "[01]"), "a number does not begin with 0"},
		{one("FP64", "[1]", "[1.]"), `want a digit, found "]"`},
		{one("FP64", "[1]", "[1e]"), `want a digit, found "]"`},
		{one("FP64", "[1]", "[+1]"), `want a value, found "+"`},
		{one("FP64", "[1]", "[.5]"), `want a value, found "."`},
		{one("FP64", "[1]", "[NaN]"), `want a value, found "N"`},
		{one("FP64", "[1]", "[1,]"), `want a value, found "]"`},
		{one("FP64", "[1.5]", "[1]"), `a shape has at most 16 dimensions, each an integer; found 1.5`},
		{one("FP64", "["+strings.Repeat("1,", 16)+"1]", "[1]"), `a shape has at most 16 dimensions`},
		{`{"inputs":[{"datatype":"FP64","shape":[1],"data":[1]}]}`, `input 0 has no name`},
		{`{"outputs":[{}]}`, `output 0 has no name`},
		{`{"inputs":[{"name":"x","parameters":{"binary_data_size":-1}}]}`, `binary_data_size -1: want a number of bytes`},
		{`{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"parameters":{"binary_data_size":8}}]}`, `input "x": binary_data_size is 8, the body has 0 bytes left`},
	} {
		_, err := decode(c.body)
		require.ErrorContains(t, err, c.want, c.body)
	}
}

// TestNumbersEqualStrconv compares with strconv, the reference, on numbers
// around every edge of the fast paths.
func TestNumbersEqualStrconv(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	texts := []string{"0", "-0", "0.0", "1", "-1", "9007199254740992", "9007199254740993", "16777216", "16777217", "1e22", "1e23", "123456789e-22", "1e-10", "1e-11",
		"0.1", "1.0000000596046447753906250", "1.00000005960464477539062500000001", "4.9e-324", "2.2250738585072011e-308", "1e-400", "1e-99999", "0e99999", "12345678901234567890e-5"}
	for range 20_000 {
		switch r.IntN(4) {
		case 0:
			texts = append(texts, strconv.FormatFloat(math.Float64frombits(r.Uint64()), 'g', -1, 64))
		case 1:
			texts = append(texts, strconv.FormatFloat(r.NormFloat64(), 'f', r.IntN(12), 64))
		case 2:
			texts = append(texts, fmt.Sprintf("%d.%de%d", r.Uint64N(1<<r.IntN(63)), r.Uint64N(1<<r.IntN(63)), r.IntN(60)-30))
		case 3:
			texts = append(texts, fmt.Sprintf("%de%d", r.Uint64N(1<<r.IntN(63)), r.IntN(60)-30))
		}
	}
	for _, text := range texts {
		if strings.ContainsAny(text, "NI") {
			continue
		}
		s := scanner{b: []byte(text)}
		n, err := s.number()
		require.NoError(t, err, text)
		require.Equal(t, len(text), s.at)
		for _, bits := range []int{32, 64} {
			want, wantErr := strconv.ParseFloat(text, bits)
			got, err := n.float(bits)
			require.Equal(t, wantErr == nil, err == nil, text)
			require.Equal(t, math.Float64bits(want), math.Float64bits(got), "%s as FP%d", text, bits)
		}
	}
}

// FuzzDecode compares with encoding/json: both take and refuse the same
// requests, and read the same from them.
func FuzzDecode(f *testing.F) {
	f.Add(`{"id":"a","inputs":[{"name":"x","datatype":"FP64","shape":[2],"data":[1,2.5e3]}]}`)
	f.Add(`{"inputs":[{"data":[[1,2],[3,4]],"name":"x","shape":[2,2],"datatype":"INT32"}]}`)
	f.Add(`{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["\ud83d\ude00\u12"]}]}`)
	f.Add(`{"inputs":[{"name":"x","datatype":"BOOL","shape":[1,1],"data":[[true]]}],"outputs":null,"parameters":{"a":[{}]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		q, err := decode(body)
		want, wantErr := reference(body)
		if err != nil {
			if wantErr == nil && !ours(err) {
				t.Fatalf("encoding/json takes it, we say: %v", err)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("we take it, encoding/json says: %v", wantErr)
		}
		require.Equal(t, want.ID, q.id)
		require.Len(t, q.inputs, len(want.Inputs))
		for i, in := range q.inputs {
			if _, bad := in.Data.(error); bad {
				continue
			}
			require.NoError(t, in.Check())
			values, ok := flatten(want.Inputs[i].Data, nil)
			require.True(t, ok)
			require.Equal(t, fmt.Sprint(read(in.Datatype, values)), fmt.Sprint(in.Data))
		}
	})
}

// ours reports whether err is one of the rules that we add to JSON's own.
func ours(err error) bool {
	for _, rule := range []string{"given twice", "not UTF-8", "parameter", "want a string or a number", "nested more than", "has no name", "at most 16 dimensions", "binary_data_size", "bytes after the JSON"} {
		if strings.Contains(err.Error(), rule) {
			return true
		}
	}
	return false
}

type referenceRequest struct {
	ID     string
	Inputs []referenceInput
}

type referenceInput struct{ Data any }

// reference reads a request with encoding/json, by exact names only.
func reference(body string) (r referenceRequest, err error) {
	members, err := object([]byte(body))
	if err != nil {
		return r, err
	}
	var inputs []json.RawMessage
	for name, to := range map[string]any{"id": &r.ID, "inputs": &inputs, "outputs": &[]map[string]json.RawMessage{}, "parameters": &map[string]json.RawMessage{}} {
		if raw, ok := members[name]; ok && err == nil {
			err = json.Unmarshal(raw, to)
		}
	}
	for _, raw := range inputs {
		input, inputErr := object(raw)
		if inputErr != nil {
			return r, inputErr
		}
		var in referenceInput
		d := json.NewDecoder(strings.NewReader(string(input["data"])))
		d.UseNumber()
		_ = d.Decode(&in.Data) // absent: nil
		r.Inputs = append(r.Inputs, in)
		for name, to := range map[string]any{"name": new(string), "datatype": new(string), "shape": &[]json.Number{}, "parameters": &map[string]json.RawMessage{}} {
			if raw, ok := input[name]; ok && err == nil {
				err = json.Unmarshal(raw, to)
			}
		}
	}
	return r, err
}

func object(raw []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	err := json.Unmarshal(raw, &m)
	if err == nil && m == nil {
		err = fmt.Errorf("null is no object")
	}
	return m, err
}

func flatten(v any, out []any) ([]any, bool) {
	list, ok := v.([]any)
	if !ok {
		return out, false
	}
	for _, e := range list {
		if nested, isList := e.([]any); isList {
			out, _ = flatten(nested, out)
		} else {
			out = append(out, e)
		}
	}
	return out, true
}

// read converts what encoding/json gave to a datatype.
func read(d frame.Datatype, values []any) []any {
	out := make([]any, len(values))
	for i, v := range values {
		number, isNumber := v.(json.Number)
		switch {
		case v == nil:
			out[i] = math.NaN()
		case !isNumber:
			out[i] = v
		case d == frame.FP32:
			f, _ := strconv.ParseFloat(number.String(), 32)
			out[i] = float32(f)
		case d == frame.FP64:
			out[i], _ = number.Float64()
		case d == frame.UINT64:
			out[i], _ = strconv.ParseUint(number.String(), 10, 64)
		default:
			out[i], _ = number.Int64()
		}
	}
	return out
}
