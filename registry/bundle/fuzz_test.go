package bundle_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
)

func FuzzParseManifest(f *testing.F) {
	manifest, err := mustNew(f, spec(), parts()).ReadFile(bundle.ManifestFile)
	require.NoError(f, err)
	f.Add(manifest)
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"created_at":"2026-03-01T12:00:00Z","files":[],"flavor":"x","format":1,"signature":{"inputs":[],"outputs":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := bundle.ParseManifest(data)
		if err != nil {
			kind := fault.Kind(err)
			require.True(t, kind == bundle.ErrCorrupt || kind == bundle.ErrUnsupported, "%v", err)
			return
		}
		// What it accepts, New would accept too, but for the files.
		spec := bundle.Spec{Flavor: m.Flavor, CreatedAt: m.CreatedAt, Signature: m.Signature, Metadata: m.Metadata}
		again, err := bundle.New(spec, nil)
		require.NoError(t, err)
		require.Equal(t, m.Signature, again.Signature())
		require.True(t, m.CreatedAt.Equal(again.Manifest().CreatedAt))
	})
}

// What the MLmodel file says, read back by a YAML and a JSON parser, is what
// the bundle was made of.
func FuzzMLmodel(f *testing.F) {
	f.Add("mlloop.classifier", "key", "value", "age", int64(-1), int64(0))
	f.Add("no", "0123", "=\u2028\x00 #: '\"\\", "é \"\n", int64(3), int64(1e15))
	f.Fuzz(func(t *testing.T, flavor, key, value, name string, dim, millis int64) {
		spec := bundle.Spec{
			Flavor: flavor, CreatedAt: time.UnixMilli(millis), Metadata: map[string]string{key: value},
			Signature: bundle.Signature{Inputs: []bundle.TensorSpec{{Name: name, Datatype: "FP32", Shape: []int64{-1, dim}}}},
		}
		b, err := bundle.New(spec, nil)
		if err != nil {
			require.ErrorIs(t, err, bundle.ErrInvalid)
			return
		}
		signature := requireMLmodel(t, b, spec)
		requireInput(t, signature["inputs"], name, dim)
		require.NotContains(t, signature, "outputs")

		manifest, err := b.ReadFile(bundle.ManifestFile)
		require.NoError(t, err)
		back, err := bundle.ParseManifest(manifest)
		require.NoError(t, err)
		require.Equal(t, b.Manifest(), back)
	})
}

// requireMLmodel checks what a YAML reader sees, and returns the signature.
func requireMLmodel(t *testing.T, b *bundle.Bundle, spec bundle.Spec) map[string]string {
	t.Helper()
	text, err := b.ReadFile(bundle.MLmodelFile)
	require.NoError(t, err)
	var got struct {
		Flavors   map[string]any
		Metadata  map[string]string
		Signature map[string]string
		Time      string `yaml:"utc_time_created"`
	}
	require.NoError(t, yaml.Unmarshal(text, &got), string(text))
	require.Contains(t, got.Flavors, spec.Flavor)
	require.Equal(t, spec.Metadata, got.Metadata)
	require.Equal(t, spec.CreatedAt.UTC().Format("2006-01-02 15:04:05.000")+"000", got.Time)
	return got.Signature
}

func requireInput(t *testing.T, signature, name string, dim int64) {
	t.Helper()
	var inputs []struct {
		Name string
		Type string
		Spec struct {
			Dtype string
			Shape []int64
		} `json:"tensor-spec"`
	}
	require.NoError(t, json.Unmarshal([]byte(signature), &inputs))
	require.Len(t, inputs, 1)
	require.Equal(t, name, inputs[0].Name)
	require.Equal(t, "tensor", inputs[0].Type)
	require.Equal(t, "float32", inputs[0].Spec.Dtype)
	require.Equal(t, []int64{-1, dim}, inputs[0].Spec.Shape)
}
