package servehttp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// echo gives back its inputs, one of each datatype, under the names out_….
func echo(types ...frame.Datatype) serve.Predictor {
	var sig bundle.Signature
	for _, d := range types {
		sig.Inputs = append(sig.Inputs, bundle.TensorSpec{Name: string(d), Datatype: string(d), Shape: []int64{-1, -1}})
		sig.Outputs = append(sig.Outputs, bundle.TensorSpec{Name: "out_" + string(d), Datatype: string(d), Shape: []int64{-1, -1}})
	}
	return servetest.Func{Sig: sig, F: func(_ context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
		out := append([]frame.Tensor(nil), in...)
		for i := range out {
			out[i].Name = "out_" + in[i].Name
		}
		return out, nil
	}}
}

// call sends one request to a new handler of srv and returns the answer.
func call(t *testing.T, srv *servetest.Server, opts *servehttp.Options, method, path, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	servehttp.New(srv.Server, opts).ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

const inferX = `{"id":"r1","inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[0.5]}]}`

type exchange struct {
	method, path, body string
	code               int
	want               string
}

func exchanges() []exchange {
	return []exchange{
		{"GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"HEAD", "/v2/health/live", "", 200, `{"live":true}`},
		{"GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"GET", "/v2/models", "", 200, `{"models":["a/b c"]}`},
		{"GET", "/v2/models/a%2Fb%20c", "", 200, `{"name":"a/b c","versions":["1","2"],"platform":"mlloop_predictor",` +
			`"inputs":[{"name":"x","datatype":"FP64","shape":[-1]}],` +
			`"outputs":[{"name":"label","datatype":"BYTES","shape":[-1]},{"name":"probability","datatype":"FP64","shape":[-1,1]}]}`},
		{"GET", "/v2/models/a%2Fb%20c/ready", "", 200, `{"name":"a/b c","ready":true}`},
		{"GET", "/v2/models/a%2Fb%20c/versions/2/ready", "", 200, `{"name":"a/b c","ready":true}`},
		{"GET", "/v2/models/a%2Fb%20c/versions/3/ready", "", 404, `{"error":"serve: metadata of a/b c: version 3 does not answer: not found; [1 2] do"}`},
		{"GET", "/v2/models/a%2Fb%20c/versions/v1", "", 404, `{"error":"version \"v1\" is unknown: versions are numbers from 1"}`},
		{"POST", "/v2/models/a%2Fb%20c/infer", inferX, 200, `{"model_name":"a/b c","model_version":"1","id":"r1","parameters":{"variant":"primary"},"outputs":[` +
			`{"name":"label","datatype":"BYTES","shape":[1],"data":["stays"]},{"name":"probability","datatype":"FP64","shape":[1,1],"data":[1]}]}`},
		{"POST", "/v2/models/a%2Fb%20c/versions/2/infer", `{"id":"r2","outputs":[{"name":"label"}],` + inferX[11:], 200,
			`{"model_name":"a/b c","model_version":"2","id":"r2","parameters":{"variant":"canary"},"outputs":[{"name":"label","datatype":"BYTES","shape":[1],"data":["goes"]}]}`},
		{"POST", "/v2/models/a%2Fb%20c/feedback", `{"labels":[{"id":"r1","value":"goes"},{"id":"r2","value":"goes"}]}`, 200, `{"accepted":2}`},
		{"POST", "/v2/models/a%2Fb%20c/feedback", `{"id":"r1","value":"goes"}`, 200, `{"accepted":1,"unchanged":1}`},
		{"POST", "/v2/models/a%2Fb%20c/feedback", `{"id":"r2","index":0,"output":"label","value":"stays"}`, 200, `{"accepted":1,"corrected":1}`},

		{"GET", "/", "", 404, `{"error":"unknown path /: want /v2, /v2/health/live, /v2/health/ready, /v2/models, or /v2/models/{model}[/versions/{version}][/ready|/infer|/feedback]"}`},
		{"GET", "/v2/models/m/versions/1/feedback", "", 404, ``},
		{"POST", "/v2/models/m/predict", "", 404, ``},
		{"GET", "/v2/models/m/infer", "", 405, `{"error":"method GET on /v2/models/m/infer: want POST"}`},
		{"POST", "/v2/health/live", "", 405, `{"error":"method POST on /v2/health/live: want GET"}`},
		{"POST", "/v2/models/m/infer", inferX, 404, `{"error":"serve: predict m: model \"m\" is not served"}`},
		{"POST", "/v2/models/m/feedback", `{"id":"r1","value":1}`, 404, `{"error":"serve: label m: model \"m\" is not served"}`},
	}
}

func TestEndpoints(t *testing.T) {
	s := servetest.New(t, "a/b c", servetest.Constant("stays"), nil)
	require.NoError(t, s.Add("a/b c", 2, servetest.Constant("goes")))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "a/b c", Primary: 1, Canary: 2, Rev: 1}))
	for _, c := range exchanges() {
		code, body, header := call(t, s, nil, c.method, c.path, c.body)
		require.Equal(t, c.code, code, "%s %s: %s", c.method, c.path, body)
		require.Equal(t, "application/json", header.Get("Content-Type"))
		if c.want != "" {
			require.Equal(t, c.want, body, "%s %s", c.method, c.path)
		}
	}
	for _, path := range []string{"/v2", "/v2/"} {
		code, body, _ := call(t, s, nil, "GET", path, "")
		require.Equal(t, 200, code)
		require.Regexp(t, `^\{"name":"mlloop","version":"[^"]+","extensions":\["binary_tensor_data"\]\}$`, body)
	}
	servetest.RequireLabel(t, s, "a/b c", "r1", frame.StringValue("goes"))
}

// TestBadRequests: each is refused with everything that is wrong with it, and nothing is logged.
func TestBadRequests(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{MaxBatchRows: 2})
	opts := &servehttp.Options{MaxBodyBytes: 1000}
	takes := `; the model takes \"x\" FP64 [-1]"}`
	for _, c := range []struct {
		why, body string
		code      int
		want      string
	}{
		{"nothing", ``, 400, `{"error":"the body is not the JSON of a request: byte 0: want '{', found the end"}`},
		{"other JSON", `{"instances":[[1]]}`, 400, `{"error":"serve: predict churn: input \"x\" is missing` + takes},
		{"wrong name, type and shape", `{"inputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[1]},{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}`, 400,
			`{"error":"serve: predict churn: input \"y\" is unknown; input \"x\" is FP32, want FP64` + takes},
		{"unreadable and unknown at once", `{"inputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[1]},{"name":"x","datatype":"FP64","shape":[2],"data":[1,"2"]}]}`, 400,
			`{"error":"serve: predict churn: input \"y\" is unknown; input \"x\": element 1: want a number, found \"\"\"` + takes},
		{"wrong shape", `{"inputs":[{"name":"x","datatype":"FP64","shape":[1,2],"data":[1,2]}]}`, 400, `{"error":"serve: predict churn: input \"x\" has shape [1 2], want [-1]: it has 2 dimensions, not 1` + takes},
		{"too many rows", `{"inputs":[{"name":"x","datatype":"FP64","shape":[3],"data":[1,2,3]}]}`, 400, `{"error":"input \"x\": the batch has 3 rows, at most 2 are taken: send it in parts"}`},
		{"rank", `{"inputs":[{"name":"x","datatype":"FP64","shape":[1,1,1],"data":[1]}]}`, 400, `{"error":"serve: predict churn: input \"x\" has shape [1 1 1], want [-1]: it has 3 dimensions, not 1` + takes},
		{"the signature's own shape", `{"inputs":[{"name":"x","datatype":"FP64","shape":[-1],"data":[1]}]}`, 400, `{"error":"serve: predict churn: input \"x\" has shape [-1], want [-1]: dimension 0 is -1: say how many there are` + takes},
		{"no shape", `{"inputs":[{"name":"x","datatype":"FP64","data":[1]}]}`, 400, `{"error":"serve: predict churn: input \"x\" has shape [], want [-1]: it has 0 dimensions, not 1` + takes},
		{"no datatype", `{"inputs":[{"name":"x","shape":[1],"data":[1]}]}`, 400, `{"error":"serve: predict churn: input \"x\" has no datatype, want FP64` + takes},
		{"data of another length", `{"inputs":[{"name":"x","datatype":"FP64","shape":[2],"data":[1]}]}`, 400, `{"error":"serve: predict churn: input \"x\": data has 1 elements, shape [2] wants 2` + takes},
		{"unknown output", `{"outputs":[{"name":"z"}],` + inferX[11:], 400, `{"error":"serve: predict churn: output \"z\" is unknown; the model gives \"label\" BYTES [-1], \"probability\" FP64 [-1 1]"}`},
		{"long id", `{"id":"` + strings.Repeat("a", 1025) + `"}`, 413, ``},
		{"too large", strings.Repeat(" ", 1001), 413, `{"error":"the body is larger than 1000 bytes: send the rows in parts (http: request body too large)"}`},
	} {
		code, body, _ := call(t, s, opts, "POST", "/v2/models/churn/infer", c.body)
		require.Equal(t, c.code, code, "%s: %s", c.why, body)
		if c.want != "" {
			require.Equal(t, c.want, body, c.why)
		}
	}
	code, body, _ := call(t, s, nil, "POST", "/v2/models/churn/infer", `{"id":"`+strings.Repeat("a", 1025)+`"}`)
	require.Equal(t, 400, code)
	require.Contains(t, body, "id of 1025 bytes")
	servetest.RequirePredictions(t, s, "churn", 0)
}

func TestBadFeedback(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "a", Inputs: servetest.X(1)})
	require.NoError(t, err)
	_, err = s.Label(t.Context(), "churn", []serve.LabelInput{{ID: "a", Value: frame.StringValue("goes")}})
	require.NoError(t, err)
	const form = `the body is not the JSON of labels, {\"labels\":[{\"id\":…,\"value\":…}, …]}: `
	for _, c := range []struct {
		body string
		code int
		want string
	}{
		{``, 400, `{"error":"` + form + `EOF"}`},
		{`{"labels":[]} 1`, 400, `{"error":"` + form + `something follows the object"}`},
		{`{"labels":[{"id":7}]}`, 400, ``},
		{`{}`, 400, `{"error":"serve: label churn: label 0 has no id"}`},
		{`{"id":"a","index":-1,"value":"goes"}`, 400, `{"error":"serve: label churn: label 0, of \"a\": row -1: want 0 or more"}`},
		{`{"labels":[],"id":"a"}`, 400, `{"error":"the body has both labels and a label of its own"}`},
		{`{"labels":[{"id":"a","value":[1]},{"id":"b","value":{}}]}`, 400, `{"error":"label 0, of \"a\": want a number, text or truth value; label 1, of \"b\": want a number, text or truth value"}`},
		{`{"id":"a","value":1}`, 400, `{"error":"no label is stored: see refused and unknown for each one's reason","accepted":0,` +
			`"refused":[{"id":"a","index":0,"reason":"\"1\" is int64, the model predicts string"}]}`},
		{`{"id":"x","index":2,"value":"stays"}`, 404, `{"error":"no label is stored: see unknown for each one's reason","accepted":0,` +
			`"unknown":[{"id":"x","index":2,"reason":"no answer is logged under this id and row"}]}`},
		{`{"labels":[{"id":"x","value":"stays"},{"id":"a","value":"goes"},{"id":"y","value":1}]}`, 200, `{"accepted":1,"unchanged":1,` +
			`"unknown":[{"id":"x","index":0,"reason":"no answer is logged under this id and row"}],` +
			`"refused":[{"id":"y","index":0,"reason":"\"1\" is int64, the model predicts string"}]}`},
	} {
		code, body, _ := call(t, s, nil, "POST", "/v2/models/churn/feedback", c.body)
		require.Equal(t, c.code, code, "%s: %s", c.body, body)
		if c.want != "" {
			require.Equal(t, c.want, body, c.body)
		}
	}
}

// TestTooMuchFeedback packs millions of labels into a small body: they are
// refused before they are made. A list as a value is not made either.
func TestTooMuchFeedback(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	for what, body := range map[string]string{
		"labels": `{"labels":[` + strings.Repeat(`{},`, 5<<20) + `{}]}`,
		"a list": `{"id":"a","value":[` + strings.Repeat(`[],`, 5<<20) + `[]]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		code, answer, _ := call(t, s, nil, "POST", "/v2/models/churn/feedback", body)
		runtime.ReadMemStats(&after)
		require.Contains(t, []int{400, 413}, code, answer)
		require.Less(t, len(answer), 1000)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8*len(body)), what)
	}
	code, answer, _ := call(t, s, nil, "POST", "/v2/models/churn/feedback", `{"labels":[`+strings.Repeat(`{},`, 10_000)+`{}]}`)
	require.Equal(t, 413, code)
	require.Contains(t, answer, "there are more than 10000 labels: send them in parts")
}

// TestKeys: the request parameter, then the header, then the id keeps a caller
// on one side of a split.
func TestKeys(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	for i, c := range []struct{ parameters, header, want string }{
		{`"parameters":{"key":"p"},`, "h", "p"}, {`"parameters":{"key":17},`, "h", "17"}, {"", "h", "h"}, {"", "", "id3"},
	} {
		_, _, _ = call(t, s, nil, "POST", "/v2/models/churn/infer", fmt.Sprintf(`{"id":"id%d",%s%s`, i, c.parameters, inferX[11:]), servehttp.KeyHeader, c.header)
		require.Equal(t, c.want, servetest.RequirePredictions(t, s, "churn", i+1)[i].Key)
	}
}

func TestNotReady(t *testing.T) {
	s := &servetest.Server{Server: serve.New(nil, nil)}
	code, body, header := call(t, s, nil, "GET", "/v2/health/ready", "")
	require.Equal(t, 503, code)
	require.Equal(t, `{"error":"serve: no model is loaded yet"}`, body)
	require.Equal(t, "1", header.Get("Retry-After"))
}

// TestErrorStatus: the predictor's own errors and deadlines have their status.
func TestErrorStatus(t *testing.T) {
	for want, err := range map[int]error{500: errors.New("broken"), 504: context.DeadlineExceeded, 503: context.Canceled} {
		s := servetest.New(t, "churn", servetest.Func{Sig: servetest.Constant("").Signature(), F: func(context.Context, []frame.Tensor) ([]frame.Tensor, error) { return nil, err }}, nil)
		code, body, _ := call(t, s, nil, "POST", "/v2/models/churn/infer", inferX)
		require.Equal(t, want, code)
		require.Contains(t, body, err.Error())
	}
}

// TestJSONOutputs: every datatype survives JSON; what JSON cannot say is refused with advice.
func TestJSONOutputs(t *testing.T) {
	all := []frame.Datatype{frame.BOOL, frame.UINT8, frame.UINT16, frame.UINT32, frame.UINT64, frame.INT8, frame.INT16, frame.INT32, frame.INT64, frame.FP32, frame.FP64, frame.BYTES}
	data := map[frame.Datatype]string{frame.BOOL: "true,false", frame.FP32: "0.1,1e-45", frame.FP64: "0.1,null", frame.BYTES: `"a\"\\\u0000\n","größer 😀"`,
		frame.UINT64: "18446744073709551615,0", frame.INT64: "-9223372036854775808,0"}
	var in, out []string
	for _, d := range all {
		text := data[d]
		if text == "" {
			text = "1,2"
		}
		in = append(in, fmt.Sprintf(`{"name":"%s","datatype":"%s","shape":[2,1],"data":[[%s]]}`, d, d, strings.Replace(text, ",", "],[", 1)))
		out = append(out, fmt.Sprintf(`{"name":"out_%s","datatype":"%s","shape":[2,1],"data":[%s]}`, d, d, strings.Replace(text, `\n`, `\u000a`, 1)))
	}
	s := servetest.New(t, "echo", echo(all...), nil)
	code, body, _ := call(t, s, nil, "POST", "/v2/models/echo/infer", `{"id":"r","inputs":[`+strings.Join(in, ",")+`]}`)
	require.Equal(t, 200, code, body)
	require.Equal(t, `{"model_name":"echo","model_version":"1","id":"r","parameters":{"variant":"primary"},"outputs":[`+strings.Join(out, ",")+`]}`, body)
}

func TestWhatJSONCannotSay(t *testing.T) {
	infinite := frame.Tensor{Name: "x", Datatype: frame.FP64, Shape: []int64{1}, Data: []float64{math.Inf(1)}}
	bytes := frame.Tensor{Name: "x", Datatype: frame.BYTES, Shape: []int64{1}, Data: []string{"\xff"}}
	for want, out := range map[string]frame.Tensor{
		`{"error":"output \"x\": JSON cannot say an infinite number: ask for it with the parameter binary_data"}`:       infinite,
		`{"error":"output \"x\": JSON cannot say bytes that are not UTF-8: ask for it with the parameter binary_data"}`: bytes,
	} {
		s := servetest.New(t, "churn", servetest.Func{
			Sig: bundle.Signature{Inputs: servetest.Constant("").Signature().Inputs, Outputs: []bundle.TensorSpec{{Name: "x", Datatype: string(out.Datatype), Shape: []int64{-1}}}},
			F:   func(context.Context, []frame.Tensor) ([]frame.Tensor, error) { return []frame.Tensor{out}, nil },
		}, nil)
		code, body, _ := call(t, s, nil, "POST", "/v2/models/churn/infer", inferX)
		require.Equal(t, 501, code)
		require.Equal(t, want, body)
	}
}

// TestBinaryTensors sends and takes every datatype in binary form, laid out
// here by encoding/binary.
func TestBinaryTensors(t *testing.T) {
	values := map[frame.Datatype]any{
		frame.BOOL: []bool{true, false}, frame.UINT8: []uint8{1, 255}, frame.UINT16: []uint16{1, 65535}, frame.UINT32: []uint32{1, 1 << 31}, frame.UINT64: []uint64{1, 1 << 63},
		frame.INT8: []int8{-1, 127}, frame.INT16: []int16{-1, 300}, frame.INT32: []int32{-1, 70000}, frame.INT64: []int64{-1, 1 << 40},
		frame.FP32: []float32{0.5, float32(math.Inf(1))}, frame.FP64: []float64{-0.25, math.Inf(-1)},
	}
	var all []frame.Datatype
	var in []string
	var tail []byte
	for _, d := range []frame.Datatype{frame.BOOL, frame.UINT8, frame.UINT16, frame.UINT32, frame.UINT64, frame.INT8, frame.INT16, frame.INT32, frame.INT64, frame.FP32, frame.FP64, frame.BYTES} {
		before := len(tail)
		if d == frame.BYTES {
			tail = append(tail, "\x01\x00\x00\x00a\x03\x00\x00\x00\xff\x00b"...)
		} else {
			var err error
			tail, err = binary.Append(tail, binary.LittleEndian, values[d])
			require.NoError(t, err)
		}
		all = append(all, d)
		in = append(in, fmt.Sprintf(`{"name":"%s","datatype":"%s","shape":[2,1],"parameters":{"binary_data_size":%d}}`, d, d, len(tail)-before))
	}
	s := servetest.New(t, "echo", echo(all...), nil)
	json := `{"parameters":{"binary_data_output":true},"inputs":[` + strings.Join(in, ",") + `],"outputs":[`
	for i, d := range all {
		if i > 0 {
			json += ","
		}
		json += fmt.Sprintf(`{"name":"out_%s"}`, d)
	}
	json += `]}`
	code, body, header := call(t, s, nil, "POST", "/v2/models/echo/infer", json+string(tail), "Inference-Header-Content-Length", strconv.Itoa(len(json)))
	require.Equal(t, 200, code, body)
	n, err := strconv.Atoi(header.Get("Inference-Header-Content-Length"))
	require.NoError(t, err)
	require.Equal(t, "application/octet-stream", header.Get("Content-Type"))
	require.Equal(t, string(tail), body[n:])
	require.Contains(t, body[:n], `{"name":"out_BYTES","datatype":"BYTES","shape":[2,1],"parameters":{"binary_data_size":12}}`)
}

func TestMixedTensors(t *testing.T) {
	s := servetest.New(t, "echo", echo(frame.INT8, frame.BOOL), nil)
	json := `{"id":"r","inputs":[{"name":"INT8","datatype":"INT8","shape":[1,2],"data":[7,8]},{"name":"BOOL","datatype":"BOOL","shape":[1,2],"parameters":{"binary_data_size":2}}],` +
		`"outputs":[{"name":"out_BOOL"},{"name":"out_INT8","parameters":{"binary_data":true}}]}`
	code, body, _ := call(t, s, nil, "POST", "/v2/models/echo/infer", json+"\x01\x00", "Inference-Header-Content-Length", strconv.Itoa(len(json)))
	require.Equal(t, 200, code, body)
	require.Equal(t, `{"model_name":"echo","model_version":"1","id":"r","parameters":{"variant":"primary"},"outputs":[`+
		`{"name":"out_BOOL","datatype":"BOOL","shape":[1,2],"data":[true,false]},{"name":"out_INT8","datatype":"INT8","shape":[1,2],"parameters":{"binary_data_size":2}}]}`+"\x07\x08", body)
}

func TestBadBinary(t *testing.T) {
	s := servetest.New(t, "echo", echo(frame.INT32), nil)
	b := servetest.New(t, "echo", echo(frame.BYTES), nil)
	bo := servetest.New(t, "echo", echo(frame.BOOL), nil)
	tensor := func(d string, shape string, size int) string {
		return fmt.Sprintf(`{"inputs":[{"name":%q,"datatype":%q,"shape":%s,"parameters":{"binary_data_size":%d}}]}`, d, d, shape, size)
	}
	for _, c := range []struct {
		why        string
		s          *servetest.Server
		json, tail string
		length     string // "": the right one
		want       string
	}{
		{"cut off", s, tensor("INT32", "[1,2]", 8), "1234567", "", "binary_data_size is 8, the body has 7 bytes left"},
		{"too long", s, tensor("INT32", "[1,1]", 4), "12345", "", "the body has 1 bytes after the JSON and the 4 of the binary inputs"},
		{"other shape", s, tensor("INT32", "[1,2]", 4), "1234", "", "binary_data_size is 4, shape [1 2] wants 8"},
		{"giant shape", s, tensor("INT32", "[4,4611686018427387904]", 4), "1234", "", "has more elements than the body can hold"},
		{"header longer than the body", s, tensor("INT32", "[1,1]", 4), "1234", "9999", "want the length of the JSON"},
		{"header no number", s, tensor("INT32", "[1,1]", 4), "1234", "x", "want the length of the JSON"},
		{"too many rows", s, tensor("INT32", "[10001,0]", 0), "", "", "the batch has 10001 rows, at most 10000 are taken"},
		{"no JSON", s, tensor("INT32", "[1,1]", 4), "1234", "0", "send the JSON that names the inputs"},
		{"strings cut off", b, tensor("BYTES", "[1,1]", 6), "\x03\x00\x00\x00ab", "", "element 0 is cut off"},
		{"strings too many", b, tensor("BYTES", "[1,1]", 9), "\x01\x00\x00\x00a\x00\x00\x00\x00", "", "4 bytes follow the 1 elements"},
		{"strings too few", b, tensor("BYTES", "[3,1]", 9), "\x01\x00\x00\x00a\x00\x00\x00\x00", "", "too little for the 3 elements"},
		{"no truth value", bo, tensor("BOOL", "[1,1]", 1), "\x02", "", "element 0: byte 2 is no BOOL"},
	} {
		length := c.length
		if length == "" {
			length = strconv.Itoa(len(c.json))
		}
		code, body, _ := call(t, c.s, nil, "POST", "/v2/models/echo/infer", c.json+c.tail, "Inference-Header-Content-Length", length)
		require.Contains(t, []int{400, 501}, code, c.why)
		require.Contains(t, body, c.want, c.why)
	}
}
