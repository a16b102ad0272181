package servehttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
)

// FuzzBinary: whatever is read from binary tensors is written back byte for byte.
func FuzzBinary(f *testing.F) {
	f.Add("FP64", int64(1), int64(1), []byte("12345678"))
	f.Add("BYTES", int64(2), int64(1), []byte("\x01\x00\x00\x00a\x00\x00\x00\x00"))
	f.Add("BOOL", int64(1), int64(2), []byte("\x01\x00"))
	f.Add("INT16", int64(1<<62), int64(4), []byte("ab"))
	f.Fuzz(func(t *testing.T, datatype string, rows, cols int64, b []byte) {
		tensor := frame.Tensor{Name: "x", Datatype: frame.Datatype(datatype), Shape: []int64{rows, cols}}
		var err error
		if tensor.Data, err = fromBinary(tensor.Datatype, tensor.Shape, b); err != nil {
			return
		}
		require.NoError(t, tensor.Check())
		require.Equal(t, string(b), string(appendBinary(nil, tensor.Data)))
	})
}

// FuzzResponse: what is written as JSON reads back as the same values.
func FuzzResponse(f *testing.F) {
	f.Add("a \"b\"\\\n\x00 größer 😀", 0.1, int64(-1))
	f.Fuzz(func(t *testing.T, text string, number float64, integer int64) {
		for _, data := range []any{[]string{text}, []float64{number}, []int64{integer}, []float32{float32(number)}, []uint64{uint64(integer)}} {
			b, err := appendData(nil, data)
			if err != nil {
				continue
			}
			switch want := data.(type) {
			case []string:
				same(t, b, want)
			case []float64:
				if number == number {
					same(t, b, want)
				}
			case []int64:
				same(t, b, want)
			case []float32:
				if number == number {
					same(t, b, want)
				}
			case []uint64:
				same(t, b, want)
			}
		}
		require.True(t, json.Valid(appendString(nil, text)), "invalid UTF-8 too")
	})
}

func same[T any](t *testing.T, b []byte, want []T) {
	var got []T
	require.NoError(t, json.Unmarshal(b, &got), string(b))
	require.Equal(t, want, got)
}

// FuzzFeedback: only JSON is taken, whatever comes.
func FuzzFeedback(f *testing.F) {
	f.Add(`{"labels":[{"id":"a","value":1},{"id":"b","value":"x"}]}`)
	f.Add(`{"id":"a","value":true}`)
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := decodeFeedback([]byte(body), 100); err == nil {
			require.True(t, json.Valid([]byte(body)))
		}
	})
}

// FuzzPath: a path that is understood means one model, whatever its name.
func FuzzPath(f *testing.F) {
	f.Add("a/b c")
	f.Fuzz(func(t *testing.T, name string) {
		got, ok := parseTarget("/v2/models/" + url.PathEscape(name) + "/infer")
		require.Equal(t, name != "", ok)
		if ok {
			require.Equal(t, target{call: infer, model: name}, got)
		}
		_, _ = parseTarget(name)
		_, _ = parseTarget("/v2/models/" + name)
	})
}

// FuzzRequest: JSON and binary tensors together never panic, and what is read
// is what the shapes say; a second reading with the memory of the first agrees.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"INT8","shape":[2],"parameters":{"binary_data_size":2}}]}ab`), 88)
	f.Add([]byte(`{"id":null,"inputs":[{"name":"x","datatype":"BYTES","shape":[2],"data":["],],",null]}]}`), 90)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		if n < 0 || n > len(body) {
			return
		}
		q := &inferRequest{maxRows: 100}
		if q.decode(body[:n], body[n:]) != nil {
			return
		}
		for _, in := range q.inputs {
			if _, bad := in.Data.(error); !bad {
				require.NoError(t, in.Check())
			}
		}
		before := fmt.Sprint(q.id, q.key, q.inputs, q.names)
		require.NoError(t, q.decode(body[:n], body[n:]))
		require.Equal(t, before, fmt.Sprint(q.id, q.key, q.inputs, q.names))
	})
}

// FuzzSplit: the parts of a body are the body.
func FuzzSplit(f *testing.F) {
	f.Add("2", []byte("{}abc"))
	f.Fuzz(func(t *testing.T, length string, body []byte) {
		header, tensors, err := split(&http.Request{Header: http.Header{headerSize: {length}}}, body)
		if err == nil {
			require.Equal(t, string(body), string(header)+string(tensors))
		}
	})
}

// FuzzCoding: a header is either one coding, or none, or refused; and what
// cannot be unpacked is an error.
func FuzzCoding(f *testing.F) {
	f.Add("gzip", "identity,", []byte("\x1f\x8b"))
	f.Add("x-GZIP", "deflate", []byte("\x78\x9c\x03\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, a, b string, body []byte) {
		c, err := contentCoding(http.Header{"Content-Encoding": {a, b}})
		joined, joinedErr := contentCoding(http.Header{"Content-Encoding": {a + "," + b}})
		require.Equal(t, err == nil, joinedErr == nil)
		require.Equal(t, c, joined)
		if err != nil {
			require.Equal(t, http.StatusUnsupportedMediaType, status(err))
			return
		}
		from, err := unpack(c, bytes.NewReader(body))
		if err != nil {
			return
		}
		const most = 1 << 16
		var buf bytes.Buffer
		if fillBuffer(&buf, io.LimitReader(from, most+1), -1, most) == nil && c == identity && len(body) <= most {
			require.Equal(t, string(body), buf.String())
		}
	})
}
