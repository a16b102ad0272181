package serve_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// sums adds price and the two elements of sizes; its signature has every shape
// that a log row can hold.
func sums() serve.Predictor {
	return servetest.Func{
		Sig: bundle.Signature{
			Inputs: []bundle.TensorSpec{
				{Name: "price", Datatype: "FP64", Shape: []int64{-1}},
				{Name: "sizes", Datatype: "INT32", Shape: []int64{-1, 2}},
				{Name: "plan", Datatype: "BYTES", Shape: []int64{-1}},
			},
			Outputs: []bundle.TensorSpec{
				{Name: "parts", Datatype: "FP64", Shape: []int64{-1, 2}},
				{Name: "sum", Datatype: "FP64", Shape: []int64{-1}},
			},
		},
		F: func(_ context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
			price, sizes := in[0].Data.([]float64), in[1].Data.([]int32)
			var parts, sum []float64
			for i, p := range price {
				if p < 0 {
					return nil, errors.New("negative price")
				}
				if math.IsInf(p, 1) {
					panic("no such price")
				}
				parts = append(parts, p, float64(sizes[2*i]+sizes[2*i+1]))
				sum = append(sum, p+float64(sizes[2*i]+sizes[2*i+1]))
			}
			n := int64(len(price))
			return []frame.Tensor{
				{Name: "parts", Datatype: frame.FP64, Shape: []int64{n, 2}, Data: parts},
				{Name: "sum", Datatype: frame.FP64, Shape: []int64{n}, Data: sum},
			}, nil
		},
	}
}

func sumInputs() []frame.Tensor {
	return []frame.Tensor{
		{Name: "plan", Datatype: frame.BYTES, Shape: []int64{2}, Data: []string{"a", "b"}},
		{Name: "price", Datatype: frame.FP64, Shape: []int64{2, 1}, Data: []float64{0.5, 1.5}},
		{Name: "sizes", Datatype: frame.INT32, Shape: []int64{2, 2}, Data: []int32{1, 2, 3, 4}},
	}
}

func TestPredictorSuite(t *testing.T) {
	in := sumInputs()
	servetest.RunPredictor(t, sums(), []frame.Tensor{in[1], in[2], in[0]})
	servetest.RunPredictor(t, servetest.Constant("x"), servetest.X(1, 2, 3))
}

func TestPredict(t *testing.T) {
	s := servetest.New(t, "sums", sums(), &serve.Options{Now: func() time.Time { return noon }})
	resp, err := s.Predict(t.Context(), "sums", serve.Request{ID: "r", Key: "k", TraceID: "t", Inputs: sumInputs(), Outputs: []string{"sum"}})
	require.NoError(t, err)
	require.Equal(t, serve.Response{ID: "r", Model: "sums", Version: 1, Variant: serve.Primary, Outputs: []frame.Tensor{
		{Name: "sum", Datatype: frame.FP64, Shape: []int64{2}, Data: []float64{3.5, 8.5}},
	}}, resp)

	schema := frame.Schema{{Name: "price", Kind: frame.Float64}, {Name: "sizes.0", Kind: frame.Int64}, {Name: "sizes.1", Kind: frame.Int64}, {Name: "plan", Kind: frame.String}}
	got := servetest.RequirePredictions(t, s, "sums", 2)
	for i := range got {
		require.Positive(t, got[i].Latency)
		got[i].Latency = 0
	}
	outputs := frame.Schema{{Name: "parts.0", Kind: frame.Float64}, {Name: "parts.1", Kind: frame.Float64}, {Name: "sum", Kind: frame.Float64}}
	want := []serve.Prediction{
		{
			Features: frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(0.5), frame.IntValue(1), frame.IntValue(2), frame.StringValue("a")}},
			Outputs:  frame.Row{Schema: outputs, Values: []frame.Value{frame.FloatValue(0.5), frame.FloatValue(3), frame.FloatValue(3.5)}},
		},
		{
			Features: frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(1.5), frame.IntValue(3), frame.IntValue(4), frame.StringValue("b")}},
			Outputs:  frame.Row{Schema: outputs, Values: []frame.Value{frame.FloatValue(1.5), frame.FloatValue(7), frame.FloatValue(8.5)}},
		},
	}
	for i := range want {
		p := &want[i]
		p.Seq, p.ID, p.Index, p.Attempt, p.Model, p.Version, p.Variant, p.Status = int64(i)+1, "r", i, 1, "sums", 1, serve.Primary, frame.Answered
		p.Key, p.Time, p.Propensity, p.RouteRev, p.TraceID, p.Digest = "k", noon, 1, 1, "t", serve.Digest(p.Features)
	}
	require.Equal(t, want, got)
}

func TestPredictMakesIDs(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	a, err := s.Predict(t.Context(), "churn", serve.Request{Inputs: servetest.X(1)})
	require.NoError(t, err)
	b, err := s.Predict(t.Context(), "churn", serve.Request{Inputs: servetest.X(1)})
	require.NoError(t, err)
	require.NotEqual(t, a.ID, b.ID)
	got := servetest.RequirePredictions(t, s, "churn", 2)
	require.Equal(t, a.ID, got[0].ID)
	require.Equal(t, a.ID, got[0].Key, "without a key the ID is hashed")
	require.Equal(t, []float64{1}, got[0].Scores())
}

// TestSameIDLogsOnce: a client that asks again after a lost answer is answered
// and not counted twice.
func TestSameIDLogsOnce(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	for range 3 {
		require.Equal(t, "stays", ask(t, s.Server, "churn", "a"))
	}
	servetest.RequirePredictions(t, s, "churn", 1)
}

type refusedRequest struct {
	why   string
	model string
	req   serve.Request
	kind  error
	want  string
}

func refusedRequests() []refusedRequest {
	takes := `; the model takes "price" FP64 [-1], "sizes" INT32 [-1 2], "plan" BYTES [-1]`
	with := func(change func(in []frame.Tensor) []frame.Tensor) serve.Request {
		return serve.Request{Inputs: change(sumInputs())}
	}
	return []refusedRequest{
		{"unknown model", "other", serve.Request{Inputs: sumInputs()}, serve.ErrNotFound, `serve: predict other: model "other" is not served`},
		{"version that does not answer", "sums", serve.Request{Version: 2, Inputs: sumInputs()}, serve.ErrNotFound, "serve: predict sums: version 2 does not answer: version 1 does"},
		{"unknown output", "sums", serve.Request{Inputs: sumInputs(), Outputs: []string{"x"}}, serve.ErrInvalid, `serve: predict sums: output "x" is unknown; the model gives "parts" FP64 [-1 2], "sum" FP64 [-1]`},
		{"no inputs", "sums", serve.Request{}, serve.ErrInvalid, `serve: predict sums: input "price" is missing; input "sizes" is missing; input "plan" is missing` + takes},
		{"every problem is told", "sums", with(func(in []frame.Tensor) []frame.Tensor {
			in[0].Name = "plam"
			in[1].Datatype = frame.FP32
			in[2].Shape = []int64{2, 3}
			return append(in, in[1])
		}), serve.ErrInvalid, `serve: predict sums: input "plam" is unknown; input "price" is given twice; input "plan" is missing; input "price" is FP32, want FP64; input "sizes" has shape [2 3], want [-1 2]: dimension 1 is 3, not 2` + takes},
		{"negative shape", "sums", with(func(in []frame.Tensor) []frame.Tensor {
			in[1].Shape = []int64{-1}
			return in
		}), serve.ErrInvalid, `serve: predict sums: input "price" has shape [-1], want [-1]: dimension 0 is -1: say how many there are` + takes},
		{"rows differ", "sums", with(func(in []frame.Tensor) []frame.Tensor {
			in[0] = frame.Tensor{Name: "plan", Datatype: frame.BYTES, Shape: []int64{1}, Data: []string{"a"}}
			return in
		}), serve.ErrInvalid, `serve: predict sums: input "plan" has 1 rows, the inputs before it have 2` + takes},
		{"data shorter than the shape", "sums", with(func(in []frame.Tensor) []frame.Tensor {
			in[0].Data = []string{"a"}
			return in
		}), serve.ErrInvalid, `serve: predict sums: tensor "plan": shape [2] does not fit its 1 elements` + takes},
		{"scalar", "sums", with(func(in []frame.Tensor) []frame.Tensor {
			in[1] = frame.Tensor{Name: "price", Datatype: frame.FP64, Data: []float64{1}}
			return in
		}), serve.ErrInvalid, `serve: predict sums: input "price" has shape [], want [-1]: it has 0 dimensions, not 1` + takes},
		{"no rows", "sums", serve.Request{Inputs: []frame.Tensor{
			{Name: "price", Datatype: frame.FP64, Shape: []int64{0}, Data: []float64{}},
			{Name: "sizes", Datatype: frame.INT32, Shape: []int64{0, 2}, Data: []int32{}},
			{Name: "plan", Datatype: frame.BYTES, Shape: []int64{0}, Data: []string{}},
		}}, serve.ErrInvalid, "serve: predict sums: the batch has no rows" + takes},
		{"too many rows", "sums", serve.Request{Inputs: []frame.Tensor{
			{Name: "price", Datatype: frame.FP64, Shape: []int64{4}, Data: make([]float64, 4)},
			{Name: "sizes", Datatype: frame.INT32, Shape: []int64{4, 2}, Data: make([]int32, 8)},
			{Name: "plan", Datatype: frame.BYTES, Shape: []int64{4}, Data: make([]string, 4)},
		}}, serve.ErrInvalid, "serve: predict sums: the batch has 4 rows, at most 3 are taken: send it in parts" + takes},
		{"the predictor's own error", "sums", with(func(in []frame.Tensor) []frame.Tensor {
			in[1].Data = []float64{1, -1}
			return in
		}), nil, "serve: predict sums: negative price"},
	}
}

func TestPredictErrors(t *testing.T) {
	s := servetest.New(t, "sums", sums(), &serve.Options{MaxBatchRows: 3})
	for _, c := range refusedRequests() {
		_, err := s.Predict(t.Context(), c.model, c.req)
		require.EqualError(t, err, c.want, c.why)
		if c.kind != nil {
			require.ErrorIs(t, err, c.kind, c.why)
		}
	}
	failed := servetest.RequirePredictions(t, s, "sums", 2) // of one batch; the others could not even be read
	for i, p := range failed {
		require.Equal(t, []any{frame.Failed, "negative price", i, frame.Row{}}, []any{p.Status, p.Error, p.Index, p.Outputs})
	}
}

// TestPanicIsOneRequests: a predictor's panic is that request's error.
func TestPanicIsOneRequests(t *testing.T) {
	s := servetest.New(t, "sums", sums(), nil)
	in := sumInputs()
	in[1].Data = []float64{math.Inf(1), 1}
	_, err := s.Predict(t.Context(), "sums", serve.Request{Inputs: in})
	require.ErrorContains(t, err, "serve: predict sums: version 1 panicked: no such price")
	_, err = s.Predict(t.Context(), "sums", serve.Request{Inputs: sumInputs()})
	require.NoError(t, err)
}

// TestWrongOutputsAreCaught: callers never see outputs that break the signature.
func TestWrongOutputsAreCaught(t *testing.T) {
	good := servetest.Constant("x")
	for why, change := range map[string]func(out []frame.Tensor) []frame.Tensor{
		"output missing": func(out []frame.Tensor) []frame.Tensor { return out[:1] },
		"other name":     func(out []frame.Tensor) []frame.Tensor { out[0].Name = "y"; return out },
		"other type":     func(out []frame.Tensor) []frame.Tensor { out[0].Datatype = frame.INT64; return out },
		"row missing":    func(out []frame.Tensor) []frame.Tensor { out[0].Shape = []int64{1}; return out },
		"data missing":   func(out []frame.Tensor) []frame.Tensor { out[1].Data = []float64{1}; return out },
	} {
		s := servetest.New(t, "churn", servetest.Func{Sig: good.Signature(), F: func(ctx context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
			out, err := good.Predict(ctx, in)
			return change(out), err
		}}, nil)
		_, err := s.Predict(t.Context(), "churn", serve.Request{Inputs: servetest.X(1, 2)})
		require.ErrorContains(t, err, "the predictor", why)
	}
}

func TestNamedVersion(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("one"), nil)
	require.NoError(t, s.Add("churn", 2, servetest.Constant("two")))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 2, Share: 0.5, Rev: 1}))
	for version, want := range map[int64]string{1: "one", 2: "two"} {
		resp, err := s.Predict(t.Context(), "churn", serve.Request{Version: version, Inputs: servetest.X(1)})
		require.NoError(t, err)
		require.Equal(t, []string{want}, resp.Outputs[0].Data)
	}
	_, err := s.Predict(t.Context(), "churn", serve.Request{Version: 3, Inputs: servetest.X(1)})
	require.ErrorContains(t, err, "version 3 does not answer: versions 1 and 2 do")
	for _, p := range servetest.RequirePredictions(t, s, "churn", 2) {
		require.Equal(t, 1.0, p.Propensity, "the caller chose, not the split")
	}
}

func TestMetadata(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("one"), nil)
	require.NoError(t, s.Add("churn", 2, sums()))
	require.NoError(t, s.Add("churn", 3, sums()))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Canary: 2, Shadow: 3, Rev: 1}))
	md, err := s.Metadata("churn", 0)
	require.NoError(t, err)
	require.Equal(t, serve.Metadata{Model: "churn", Version: 1, Versions: []int64{1, 2}, Platform: "mlloop_predictor", Signature: servetest.Constant("").Signature()}, md)
	md, err = s.Metadata("churn", 2)
	require.NoError(t, err)
	require.Equal(t, sums().Signature(), md.Signature)
	_, err = s.Metadata("churn", 3)
	require.ErrorIs(t, err, serve.ErrNotFound, "a shadow cannot be asked, so it is not listed as ready")
	_, err = s.Metadata("other", 0)
	require.ErrorIs(t, err, serve.ErrNotFound)
}
