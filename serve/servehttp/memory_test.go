package servehttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// nineMillion are the rows of a body of 36 MB.
const nineMillion = 9_000_000

// column is a model of one column that answers nothing.
func column(t *testing.T, d frame.Datatype, maxRows int) *servehttp.Handler {
	t.Helper()
	sig := bundle.Signature{Inputs: []bundle.TensorSpec{{Name: "x", Datatype: string(d), Shape: []int64{-1}}}}
	s := serve.New(nil, &serve.Options{MaxBatchRows: maxRows})
	require.NoError(t, s.Add("m", 1, servetest.Func{Sig: sig, F: func(context.Context, []frame.Tensor) ([]frame.Tensor, error) {
		return nil, errors.New("reached")
	}}))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "m", Primary: 1}))
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return servehttp.New(s, nil)
}

// allocated posts a body and returns how many bytes were allocated meanwhile,
// garbage included: what the request takes at its worst is less.
func allocated(t *testing.T, h http.Handler, body []byte, length int64, header ...string) (float64, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v2/models/m/infer", io.NopCloser(bytes.NewReader(body)))
	r.ContentLength = length
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body)), w.Body.String()
}

// TestLargeBodies: a body of 36 MB and nine million rows takes less than four
// times its size, whether it is refused or reaches the model.
func TestLargeBodies(t *testing.T) {
	head := fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"%%s","shape":[%d],%%s}]}`, nineMillion)
	flat := []byte(fmt.Sprintf(head, "FP64", `"data":[`+strings.Repeat("0.5,", nineMillion-1)+"0.5]"))
	texts := []byte(fmt.Sprintf(head, "BYTES", `"data":[`+strings.Repeat(`"",`, nineMillion-1)+`""]`))
	json := fmt.Sprintf(head, "FP32", `"parameters":{"binary_data_size":36000000}`)
	binary := append([]byte(json), make([]byte, 4*nineMillion)...)
	length := []string{"Inference-Header-Content-Length", strconv.Itoa(len(json))}
	for _, c := range []struct {
		why      string
		datatype frame.Datatype
		body     []byte
		length   int64
		header   []string
		maxRows  int
		answer   string
		times    float64
	}{
		{"JSON that is refused", frame.FP64, flat, int64(len(flat)), nil, 0, "the batch has 9000000 rows", 1.5},
		{"JSON", frame.FP64, flat, int64(len(flat)), nil, nineMillion, "reached", 3.5},
		{"strings that are refused", frame.BYTES, texts, int64(len(texts)), nil, 0, "the batch has 9000000 rows", 1.5},
		{"binary that is refused", frame.FP32, binary, int64(len(binary)), length, 0, "the batch has 9000000 rows", 1.5},
		{"binary", frame.FP32, binary, int64(len(binary)), length, nineMillion, "reached", 2.5},
		{"refused, of a length not told", frame.FP64, flat, -1, nil, 0, "the batch has 9000000 rows", 4},
	} {
		times, answer := allocated(t, column(t, c.datatype, c.maxRows), c.body, c.length, c.header...)
		t.Logf("%s: %.2f times", c.why, times)
		require.Contains(t, answer, c.answer, c.why)
		require.Less(t, times, c.times, c.why)
	}
}

// TestPromisedBodies: what is only said to come takes no memory.
func TestPromisedBodies(t *testing.T) {
	h := column(t, frame.FP64, 1<<40)
	for why, c := range map[string]struct {
		body   string
		length int64
	}{
		"a length":           {"{", 60 << 20},
		"a shape":            {`{"inputs":[` + strings.Repeat(`{"name":"x","datatype":"FP64","shape":[100000],"data":[1]},`, 2000) + `null]}`, -1},
		"a shape of strings": {`{"inputs":[` + strings.Repeat(`{"name":"x","datatype":"BYTES","shape":[100000],"data":["]","`+strings.Repeat(",", 1000)+`"]},`, 100) + `null]}`, -1},
	} {
		times, _ := allocated(t, h, []byte(c.body), c.length)
		require.Less(t, times*float64(len(c.body)), 3e6, why)
	}
}
