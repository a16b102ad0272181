package serve_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
)

// churnParts returns the parts and the signature of a small classifier over
// age and plan, standardised with mean 40 and variance 800/3.
func churnParts() (map[string][]byte, bundle.Signature, error) {
	customers, err := frame.ReadCSV(strings.NewReader("age,plan\n20.0,basic\n40.0,pro\n60.0,basic\n"), nil)
	if err != nil {
		return nil, bundle.Signature{}, err
	}
	features, err := feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan")}.Fit(customers, []string{"age", "plan"})
	if err != nil {
		return nil, bundle.Signature{}, err
	}
	network := &model.Classifier{
		Layers: []model.Dense{
			{In: 3, Out: 2, W: []float32{0.5, -1, 1.5, 0.25, -0.75, 2}, B: []float32{0.1, -0.2}, Activation: model.ReLU},
			{In: 2, Out: 2, W: []float32{1, -1.5, 0.5, 0.75}, B: []float32{0.05, -0.05}, Activation: model.Identity},
		},
		Classes: []frame.Value{frame.StringValue("goes"), frame.StringValue("stays")},
	}
	parts := map[string][]byte{}
	if parts[bundle.ModelPart], parts[bundle.WeightsPart], err = network.Encode(); err != nil {
		return nil, bundle.Signature{}, err
	}
	parts[bundle.FeaturesPart], err = features.Marshal()
	return parts, bundle.Signature{
		Inputs:  []bundle.TensorSpec{{Name: "age", Datatype: "FP64", Shape: []int64{-1}}, {Name: "plan", Datatype: "BYTES", Shape: []int64{-1}}},
		Outputs: []bundle.TensorSpec{{Name: "label", Datatype: "BYTES", Shape: []int64{-1}}, {Name: "probability", Datatype: "FP64", Shape: []int64{-1, 2}}},
	}, err
}

// churnBundle returns the bundle of churnParts after a change.
func churnBundle(change func(parts map[string][]byte, sig *bundle.Signature)) (*bundle.Bundle, error) {
	parts, sig, err := churnParts()
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(parts, &sig)
	}
	return bundle.New(bundle.Spec{Flavor: "mlloop.classifier", CreatedAt: time.UnixMilli(0), Signature: sig}, parts)
}

func churnInputs() []frame.Tensor {
	return []frame.Tensor{
		{Name: "age", Datatype: frame.FP64, Shape: []int64{3}, Data: []float64{20, 33.5, 71}},
		{Name: "plan", Datatype: frame.BYTES, Shape: []int64{3}, Data: []string{"basic", "pro", "gold"}},
	}
}

// TestClassifier compares with probabilities computed by a separate program
// (Python, 64-bit floats).
func TestClassifier(t *testing.T) {
	b, err := churnBundle(nil)
	require.NoError(t, err)
	p, err := serve.NewClassifier(b)
	require.NoError(t, err)
	want := []float64{0.904683540, 0.095316460, 0.389477150, 0.610522850, 0.938366971, 0.061633029}

	out, err := p.Predict(t.Context(), churnInputs())
	require.NoError(t, err)
	require.Equal(t, []string{"goes", "stays", "goes"}, out[0].Data)
	require.InDeltaSlice(t, want, out[1].Data, 1e-6)
	servetest.RunPredictor(t, p, churnInputs())
	require.Equal(t, []frame.Value{frame.StringValue("goes"), frame.StringValue("stays")}, p.(serve.Classifier).Classes())

	s := servetest.New(t, "churn", p, nil)
	resp, err := s.Predict(t.Context(), "churn", serve.Request{ID: "r", Inputs: churnInputs()})
	require.NoError(t, err)
	require.Equal(t, out, resp.Outputs)
	logged := servetest.RequirePredictions(t, s, "churn", 3)
	require.Equal(t, frame.Row{
		Schema: frame.Schema{{Name: "age", Kind: frame.Float64}, {Name: "plan", Kind: frame.String}},
		Values: []frame.Value{frame.FloatValue(33.5), frame.StringValue("pro")},
	}, logged[1].Features)
	require.Equal(t, frame.StringValue("stays"), logged[1].Label())
	require.InDeltaSlice(t, want[2:4], logged[1].Scores(), 1e-6)
}

// TestBrokenBundles: parts that are missing, damaged or of another model are told at loading.
func TestBrokenBundles(t *testing.T) {
	for _, c := range []struct {
		why    string
		change func(parts map[string][]byte, sig *bundle.Signature)
		want   string
	}{
		{"no weights", func(parts map[string][]byte, _ *bundle.Signature) { delete(parts, bundle.WeightsPart) }, bundle.WeightsPart},
		{"damaged weights", func(parts map[string][]byte, _ *bundle.Signature) {
			parts[bundle.WeightsPart] = parts[bundle.WeightsPart][:20]
		}, "safetensors"},
		{"damaged features", func(parts map[string][]byte, _ *bundle.Signature) { parts[bundle.FeaturesPart] = []byte("{}") }, "feature"},
		{"signature with another input", func(_ map[string][]byte, sig *bundle.Signature) { sig.Inputs[0].Name = "years" },
			`the bundle's parts do not fit: the signature's inputs are "years" FP64 [-1], "plan" BYTES [-1], features.json reads "age" FP64 [-1], "plan" BYTES [-1]`},
		{"signature with another output", func(_ map[string][]byte, sig *bundle.Signature) { sig.Outputs[1].Shape[1] = 3 },
			`the bundle's parts do not fit: the signature's outputs are "label" BYTES [-1], "probability" FP64 [-1 3], the network gives "label" BYTES [-1], "probability" FP64 [-1 2]`},
		{"network of another width", func(parts map[string][]byte, _ *bundle.Signature) {
			network := &model.Classifier{
				Layers:  []model.Dense{{In: 1, Out: 2, W: make([]float32, 2), B: make([]float32, 2), Activation: model.Identity}},
				Classes: []frame.Value{frame.StringValue("goes"), frame.StringValue("stays")},
			}
			parts[bundle.ModelPart], parts[bundle.WeightsPart], _ = network.Encode()
		}, "features.json makes 3 columns, the network reads 1"},
	} {
		b, err := churnBundle(c.change)
		require.NoError(t, err, c.why)
		_, err = serve.NewClassifier(b)
		require.ErrorContains(t, err, c.want, c.why)
	}
}

// TestClassifierRefusesValues: what the pipeline cannot transform is the
// caller's error, not the server's.
func TestClassifierRefusesValues(t *testing.T) {
	b, err := churnBundle(nil)
	require.NoError(t, err)
	p, err := serve.NewClassifier(b)
	require.NoError(t, err)
	s := servetest.New(t, "churn", p, nil)
	in := churnInputs()
	in[1].Data = []string{"basic", "\xff", "pro"}
	_, err = s.Predict(t.Context(), "churn", serve.Request{Inputs: in})
	require.ErrorIs(t, err, serve.ErrInvalid)
}
