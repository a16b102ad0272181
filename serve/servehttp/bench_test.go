package servehttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// sixInputs is a model of six FP64 columns that does next to nothing.
func sixInputs() serve.Predictor {
	sig := servetest.Constant("").Signature()
	sig.Inputs = nil
	for i := range 6 {
		sig.Inputs = append(sig.Inputs, bundle.TensorSpec{Name: fmt.Sprint("feat_", i+1), Datatype: "FP64", Shape: []int64{-1}})
	}
	constant := servetest.Constant("UP")
	return servetest.Func{Sig: sig, F: func(ctx context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
		return constant.Predict(ctx, in)
	}}
}

func sixBody() []byte {
	parts := make([]string, 6)
	for i := range parts {
		parts[i] = fmt.Sprintf(`{"name":"feat_%d","datatype":"FP64","shape":[1],"data":[0.05644%d]}`, i+1, i)
	}
	return []byte(`{"inputs":[` + strings.Join(parts, ",") + `]}`)
}

// jsonEcho is what a service writes by hand with encoding/json: it decodes the
// same request into structs and answers with the same fields.
func jsonEcho(w http.ResponseWriter, r *http.Request) {
	type tensor struct {
		Name     string    `json:"name"`
		Datatype string    `json:"datatype"`
		Shape    []int64   `json:"shape"`
		Data     []float64 `json:"data"`
	}
	var req struct {
		ID     string   `json:"id"`
		Inputs []tensor `json:"inputs"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"id": req.ID, "model_name": "m", "model_version": "1", "outputs": req.Inputs[:2]})
}

// nobody is a ResponseWriter that costs nothing.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n nobody) WriteHeader(int)             {}

// A connection's deadlines: a real one has them.
func (n nobody) SetReadDeadline(time.Time) error  { return nil }
func (n nobody) SetWriteDeadline(time.Time) error { return nil }

// discard is a store that costs nothing: what is left is the request's own part of logging.
type discard struct{ serve.UnimplementedStore }

func (discard) AppendPredictions(context.Context, []serve.Prediction) error { return nil }
func (discard) PutRoute(context.Context, serve.Route) error                 { return nil }
func (discard) Route(context.Context, string) (serve.Route, error) {
	return serve.Route{}, serve.ErrNotFound
}

func benchHandler(b *testing.B, h http.Handler, body []byte) time.Duration {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v2/models/m/infer", nil)
	w := nobody{http.Header{}}
	reader := bytes.NewReader(body)
	r.Body = io.NopCloser(reader)
	r.ContentLength = int64(len(body))
	began := time.Now()
	for range b.N {
		reader.Reset(body)
		r.Body = io.NopCloser(reader)
		h.ServeHTTP(w, r)
	}
	return time.Since(began)
}

// newSix returns a server of the six-input model.
func newSix(b *testing.B, log serve.Store) *serve.Server {
	b.Helper()
	s := serve.New(nil, &serve.Options{Log: log, QueueSize: 1 << 30})
	require.NoError(b, s.Add("m", 1, sixInputs()))
	require.NoError(b, s.SetRoute(b.Context(), serve.Route{Model: "m", Primary: 1}))
	b.Cleanup(func() { require.NoError(b, s.Close(context.Background())) })
	return s
}

// BenchmarkInfer is one row of six inputs through the handler, unlogged and
// without the network. x/echo is the ratio to a hand-written encoding/json
// handler in the same run.
func BenchmarkInfer(b *testing.B) {
	h := servehttp.New(newSix(b, nil), nil)
	echo := benchHandler(b, http.HandlerFunc(jsonEcho), sixBody())
	b.ReportAllocs()
	b.ResetTimer()
	b.ReportMetric(float64(benchHandler(b, h, sixBody()))/float64(echo), "x/echo")
}

// BenchmarkInferLogged is the same with the prediction log on. x/unlogged is
// the ratio to the log being off, in the same run.
func BenchmarkInferLogged(b *testing.B) {
	unlogged := servehttp.New(newSix(b, nil), nil)
	h := servehttp.New(newSix(b, discard{}), nil)
	off := benchHandler(b, unlogged, sixBody())
	b.ReportAllocs()
	b.ResetTimer()
	b.ReportMetric(float64(benchHandler(b, h, sixBody()))/float64(off), "x/unlogged")
}

// BenchmarkInferOverHTTP is the same over a loopback connection that is kept open.
func BenchmarkInferOverHTTP(b *testing.B) {
	s := newSix(b, nil)
	run := func(h http.Handler) time.Duration {
		server := httptest.NewServer(h)
		defer server.Close()
		body := sixBody()
		began := time.Now()
		for range b.N {
			resp, err := server.Client().Post(server.URL+"/v2/models/m/infer", "application/json", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return time.Since(began)
	}
	echo := run(http.HandlerFunc(jsonEcho))
	b.ResetTimer()
	b.ReportMetric(float64(run(servehttp.New(s, nil)))/float64(echo), "x/echo")
}
