package bundle_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/safetensors"
	"github.com/mlloop/mlloop/registry/bundle"
)

// TestPythonReadsBundles needs MLLOOP_PEER_PYTHON: a Python with the packages
// that testdata/peer_check.py names.
func TestPythonReadsBundles(t *testing.T) {
	python := os.Getenv("MLLOOP_PEER_PYTHON")
	if python == "" {
		t.Skip("MLLOOP_PEER_PYTHON does not name a Python with mlflow-skinny and safetensors")
	}
	weight, err := safetensors.New([]float64{0.1, -2.5, 3e-300, 4, 5, 6}, 2, 3)
	require.NoError(t, err)
	bias, err := safetensors.New([]float32{0.5, -1}, 2)
	require.NoError(t, err)
	weights, err := safetensors.Encode(safetensors.File{Tensors: map[string]safetensors.Tensor{"dense.weight": weight, "dense.bias": bias}})
	require.NoError(t, err)

	full := spec()
	full.Metadata = hardMetadata()
	cases := map[string]*bundle.Bundle{
		"full":    mustNew(t, full, map[string][]byte{bundle.WeightsPart: weights, "extra/notes é.txt": []byte("hello"), "empty": nil}),
		"minimal": mustNew(t, bundle.Spec{Flavor: "xgboost", CreatedAt: full.CreatedAt}, nil),
		"inputs":  mustNew(t, bundle.Spec{Flavor: "a", CreatedAt: full.CreatedAt, Signature: bundle.Signature{Inputs: everyDatatype()}}, nil),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "model")
			require.NoError(t, b.WriteDir(t.Context(), dir))
			var stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), python, "testdata/peer_check.py", dir, b.Digest())
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			require.NoError(t, err, stderr.String())
			if name != "full" {
				return
			}
			requireWeights(t, out)
		})
	}
}

// requireWeights checks what Python read of the tensors.
func requireWeights(t *testing.T, out []byte) {
	t.Helper()
	var got map[string]struct {
		Dtype  string
		Shape  []int
		Values []float64
	}
	require.NoError(t, json.Unmarshal(out, &got), string(out))
	require.Len(t, got, 2)
	require.Equal(t, "float64", got["dense.weight"].Dtype)
	require.Equal(t, []int{2, 3}, got["dense.weight"].Shape)
	require.Equal(t, []float64{0.1, -2.5, 3e-300, 4, 5, 6}, got["dense.weight"].Values)
	require.Equal(t, "float32", got["dense.bias"].Dtype)
	require.Equal(t, []float64{0.5, -1}, got["dense.bias"].Values)
}

// hardMetadata has values that a careless YAML or JSON writer breaks.
func hardMetadata() map[string]string {
	metadata := map[string]string{"no": "no", "0123": "1_000", "1.5": "=", "null": "~", "2026-01-01": "12:30:45"}
	for i, value := range []string{
		"", " ", "\n", "a\nb\n", "\t", `"`, `'`, `\`, `\u2028`, "\u2028\u2029", "\\\u2028", "<&>", "# no comment", "- a", "a: b", "{}", "[",
		"é 日本 😀", "\x00\x01\x1f\x7f", "\u0080\u009f\u00a0\ufeff", "\ue000\ufffd\ufffe\uffff\U0010ffff", "%YAML", "---", "<<", "&a *a !!int",
	} {
		metadata["hard."+string(rune('a'+i))] = value
	}
	return metadata
}

func everyDatatype() []bundle.TensorSpec {
	var specs []bundle.TensorSpec
	for _, d := range []string{"BOOL", "BYTES", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"} {
		specs = append(specs, bundle.TensorSpec{Name: "x \"" + d + "\" é", Datatype: d, Shape: []int64{-1, 3, -1}})
	}
	return specs
}
