package model_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/safetensors"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
)

func TestEncodeDecode(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	c := random(rng, 6, 32, 16, 3)
	for _, labels := range [][]frame.Value{
		classes(3),
		{frame.StringValue(""), frame.StringValue("no \"x\""), frame.StringValue("ü")},
		{frame.IntValue(math.MinInt64), frame.IntValue(math.MaxInt64), frame.IntValue(0)},
	} {
		c.Classes = labels
		architecture, weights, err := c.Encode()
		require.NoError(t, err)
		got, err := model.Decode(architecture, weights)
		require.NoError(t, err)
		require.Equal(t, c.Layers, got.Layers)
		require.Equal(t, c.Classes, got.Classes)

		again, sameWeights, err := got.Encode()
		require.NoError(t, err)
		require.Equal(t, architecture, again)
		require.Equal(t, weights, sameWeights)
	}
	c.Layers[0].W[0] = float32(math.NaN())
	_, _, err := c.Encode()
	require.ErrorContains(t, err, "model: encode: layer 0 has weights that are not finite")
}

// TestDecodeFormat1 pins the format that this release wrote first.
func TestDecodeFormat1(t *testing.T) {
	const architecture = `{"format": 1, "kind": "classifier",
		"layers": [{"in": 1, "out": 2, "activation": "identity"}],
		"classes": [{"kind": "bool", "text": "false"}, {"kind": "bool", "text": "true"}]}`
	w, err := safetensors.New([]float32{1, -1}, 1, 2)
	require.NoError(t, err)
	b, err := safetensors.New([]float32{0.25, 0}, 2)
	require.NoError(t, err)
	weights, err := safetensors.Encode(safetensors.File{Tensors: map[string]safetensors.Tensor{
		"layers.0.weight": w, "layers.0.bias": b,
	}})
	require.NoError(t, err)
	c, err := model.Decode([]byte(architecture), weights)
	require.NoError(t, err)
	p, err := c.Probabilities(nil, frame.Matrix{Rows: 1, Cols: 1, Data: []float32{1}})
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{1 / (1 + math.Exp(-2.25)), 1 / (1 + math.Exp(2.25))}, p, 1e-7)
}

func TestDecodeErrors(t *testing.T) {
	c := random(rand.New(rand.NewPCG(2, 2)), 2, 3, 2)
	architecture, weights, err := c.Encode()
	require.NoError(t, err)
	text := string(architecture)
	swap := func(from, to string) string {
		require.Contains(t, text, from)
		return strings.Replace(text, from, to, 1)
	}
	for _, e := range []struct {
		explanation, architecture, want string
		kind                            error
	}{
		{"empty", "", "model: decode: the architecture is not JSON", fault.Corrupt},
		{"cut short", text[:len(text)/2], "not JSON", fault.Corrupt},
		{"a newer release", swap(`"format": 1`, `"format": 2, "extra": 1`), "format 2, this release reads up to 1: update mlloop", fault.Unsupported},
		{"no format", swap(`"format": 1`, `"format": 0`), "format 0, want 1", fault.Corrupt},
		{"another kind", swap(`"classifier"`, `"forest"`), `kind "forest"`, fault.Corrupt},
		{"an unknown field", swap(`"kind"`, `"depth": 1, "kind"`), `unknown field "depth"`, fault.Corrupt},
		{"two objects", text + "{}", "not JSON", fault.Corrupt},
		{"a huge layer", swap(`"out": 3`, `"out": 9000000000`), "layer 0 is 2×9000000000", fault.Corrupt},
		{"a negative layer", swap(`"out": 3`, `"out": -3`), "layer 0 is 2×-3", fault.Corrupt},
		{"no layers", swap(text[strings.Index(text, `"layers"`):strings.Index(text, `"classes"`)], `"layers": [],`), "0 layers", fault.Corrupt},
		{"layers that do not meet", swap(`"in": 3`, `"in": 4`), "takes 4 values", fault.Corrupt},
		{"other shapes than the weights", strings.ReplaceAll(swap(`"out": 3`, `"out": 4`), `"in": 3`, `"in": 4`),
			`tensor "layers.0.weight" is F32 [2 3], want F32 [2 4]`, fault.Corrupt},
		{"fewer layers than weights", swap(text[strings.Index(text, `"layers"`):strings.Index(text, `"classes"`)],
			`"layers": [{"in": 2, "out": 2, "activation": "relu"}],`), `tensor "layers.1.bias" belongs to no layer`, fault.Corrupt},
	} {
		_, err := model.Decode([]byte(e.architecture), weights)
		require.ErrorIs(t, err, e.kind, e.explanation)
		require.ErrorContains(t, err, e.want, e.explanation)
	}
}

func TestDecodeTellsWhatIsWrongWithWeights(t *testing.T) {
	architecture, weights, err := random(rand.New(rand.NewPCG(2, 2)), 2, 3, 2).Encode()
	require.NoError(t, err)
	for n := range weights {
		_, err := model.Decode(architecture, weights[:n])
		require.ErrorIs(t, err, fault.Corrupt, "cut after %d bytes", n)
	}

	nan, err := safetensors.New([]float32{1, float32(math.NaN()), 0}, 3)
	require.NoError(t, err)
	file, err := safetensors.Decode(weights)
	require.NoError(t, err)
	file.Tensors["layers.0.bias"] = nan
	delete(file.Tensors, "layers.1.bias")
	damaged, err := safetensors.Encode(file)
	require.NoError(t, err)
	_, err = model.Decode(architecture, damaged)
	require.ErrorContains(t, err, `tensor "layers.0.bias" has values that are not finite; tensor "layers.1.bias" is missing`)
}

// FuzzDecode: whatever is read is usable and is written back as it was.
func FuzzDecode(f *testing.F) {
	architecture, weights, err := random(rand.New(rand.NewPCG(3, 3)), 2, 3, 2).Encode()
	require.NoError(f, err)
	f.Add(architecture, weights)
	f.Add([]byte(`{"format":1,"kind":"classifier","layers":[{"in":1,"out":1}],"classes":[]}`), weights)
	f.Fuzz(func(t *testing.T, architecture, weights []byte) {
		c, err := model.Decode(architecture, weights)
		if err != nil {
			require.NotNil(t, fault.Kind(err))
			return
		}
		require.NoError(t, c.Check())
		a, w, err := c.Encode()
		require.NoError(t, err)
		again, err := model.Decode(a, w)
		require.NoError(t, err)
		require.Equal(t, c.Layers, again.Layers)
		if _, err := c.Probabilities(nil, frame.NewMatrix(2, c.Inputs())); err != nil {
			require.ErrorIs(t, err, fault.Invalid) // scores that overflow
		}
	})
}
