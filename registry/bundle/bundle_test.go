package bundle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/safetensors"
	"github.com/mlloop/mlloop/registry/bundle"
)

func spec() bundle.Spec {
	return bundle.Spec{
		Flavor:    "mlloop.classifier",
		CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC),
		Signature: bundle.Signature{
			Inputs:  []bundle.TensorSpec{{Name: "age", Datatype: "FP64", Shape: []int64{-1}}, {Name: "plan", Datatype: "BYTES", Shape: []int64{-1}}},
			Outputs: []bundle.TensorSpec{{Name: "probability", Datatype: "FP64", Shape: []int64{-1, 2}}},
		},
		Metadata: map[string]string{"trainer": "mlp", "seed": "1"},
	}
}

func parts() map[string][]byte {
	return map[string][]byte{bundle.WeightsPart: []byte("weights"), "a/b/c.json": []byte("{}"), "empty": {}}
}

func mustNew(t testing.TB, spec bundle.Spec, parts map[string][]byte) *bundle.Bundle {
	t.Helper()
	b, err := bundle.New(spec, parts)
	require.NoError(t, err)
	return b
}

func TestBundleHoldsWhatItWasMadeOf(t *testing.T) {
	b := mustNew(t, spec(), parts())
	require.Len(t, b.Digest(), 64)
	require.Equal(t, spec().Signature, b.Signature())
	m := b.Manifest()
	require.Equal(t, bundle.FormatVersion, m.Format)
	require.Equal(t, "mlloop.classifier", m.Flavor)
	require.Equal(t, spec().CreatedAt, m.CreatedAt)
	require.Equal(t, spec().Metadata, m.Metadata)
	require.Equal(t, b.Files(), m.Files)

	names := []string{}
	for _, f := range b.Files() {
		names = append(names, f.Path)
	}
	require.Equal(t, []string{"MLmodel", "a/b/c.json", "empty", "weights.safetensors"}, names)
	for name, want := range parts() {
		got, err := b.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	_, err := b.ReadFile("profile.json")
	require.ErrorIs(t, err, bundle.ErrNotFound)
	require.ErrorContains(t, err, "bundle: read profile.json: not found: the bundle has MLmodel, a/b/c.json")
}

// testdata/format1 was written by the first release: every later one must read
// it, and give the same content the same digest. The digest is what
// `sha256sum testdata/format1/manifest.json` prints.
func TestFormat1(t *testing.T) {
	const digest = "a7749542bc02670c62e3861998918ebb164be7e064796318cfa2370a0739b8ab"
	old, err := bundle.OpenDir("testdata/format1")
	require.NoError(t, err)
	require.Equal(t, digest, old.Digest())
	require.Equal(t, spec().Signature, old.Signature())
	data, err := old.ReadFile("extra/notes.txt")
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(data))

	again := mustNew(t, spec(), format1Parts(t))
	require.Equal(t, digest, again.Digest())
	for _, f := range append(old.Files(), bundle.File{Path: bundle.ManifestFile}) {
		want, err := old.ReadFile(f.Path)
		require.NoError(t, err)
		got, err := again.ReadFile(f.Path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), f.Path)
	}
}

func format1Parts(t testing.TB) map[string][]byte {
	w, err := safetensors.New([]float64{0.1, -2.5}, 2)
	require.NoError(t, err)
	weights, err := safetensors.Encode(safetensors.File{Tensors: map[string]safetensors.Tensor{"w": w}})
	require.NoError(t, err)
	return map[string][]byte{bundle.WeightsPart: weights, "extra/notes.txt": []byte("hello\n")}
}

func TestEqualContentGivesEqualDigests(t *testing.T) {
	want := mustNew(t, spec(), parts()).Digest()
	for range 20 { // maps come in another order each time
		require.Equal(t, want, mustNew(t, spec(), parts()).Digest())
	}
	local := spec()
	local.CreatedAt = local.CreatedAt.In(time.FixedZone("CET", 3600)).Add(time.Microsecond)
	require.Equal(t, want, mustNew(t, local, parts()).Digest(), "neither the zone nor less than a millisecond counts")

	changes := map[string]func(s *bundle.Spec, p map[string][]byte){
		"flavor":    func(s *bundle.Spec, _ map[string][]byte) { s.Flavor = "other" },
		"time":      func(s *bundle.Spec, _ map[string][]byte) { s.CreatedAt = s.CreatedAt.Add(time.Millisecond) },
		"signature": func(s *bundle.Spec, _ map[string][]byte) { s.Signature.Inputs[0].Shape = []int64{-1, 1} },
		"metadata":  func(s *bundle.Spec, _ map[string][]byte) { s.Metadata["seed"] = "2" },
		"bytes":     func(_ *bundle.Spec, p map[string][]byte) { p["empty"] = []byte("x") },
		"path":      func(_ *bundle.Spec, p map[string][]byte) { delete(p, "empty"); p["void"] = nil },
		"part":      func(_ *bundle.Spec, p map[string][]byte) { delete(p, "empty") },
	}
	for name, change := range changes {
		s, p := spec(), parts()
		change(&s, p)
		require.NotEqual(t, want, mustNew(t, s, p).Digest(), name)
	}
}

func TestBundleCannotBeChangedThroughWhatItGives(t *testing.T) {
	given := parts()
	s := spec()
	b := mustNew(t, s, given)
	want := b.Manifest()
	given["empty"] = []byte("x")
	s.Signature.Inputs[0].Shape[0] = 7
	s.Metadata["seed"] = "9"

	m := b.Manifest()
	m.Files[0].Path = "x"
	m.Metadata["seed"] = "9"
	m.Signature.Inputs[0].Shape[0] = 7
	b.Signature().Outputs[0].Name = "x"
	b.Files()[0].Size = 9
	data, err := b.ReadFile(bundle.WeightsPart)
	require.NoError(t, err)
	require.Equal(t, "weights", string(data))
	data[0] = 'X'
	again, err := b.ReadFile(bundle.WeightsPart)
	require.NoError(t, err)
	require.Equal(t, "weights", string(again))
	require.Equal(t, want, b.Manifest())
}

func TestNewTellsEveryProblemAtOnce(t *testing.T) {
	_, err := bundle.New(bundle.Spec{
		Flavor: "my flavor",
		Signature: bundle.Signature{
			Inputs:  []bundle.TensorSpec{{Name: "a", Datatype: "FP64", Shape: []int64{-1}}, {Name: "a", Datatype: "DOUBLE", Shape: []int64{0}}},
			Outputs: []bundle.TensorSpec{{Datatype: "FP64"}, {Name: "b\xff", Datatype: "FP64", Shape: []int64{-2}}},
		},
		Metadata: map[string]string{"": "x", "a b": "x", "c": "\xff"},
	}, map[string][]byte{
		"/etc/passwd": nil, "../up": nil, "a/../b": nil, "a//b": nil, ".": nil, "": nil, "c:d": nil, `e\f`: nil, "nul\x00": nil,
		"MLmodel": nil, "manifest.json": nil, "Manifest.JSON": nil, "x": nil, "X": nil, "dir": nil, "DIR/file": nil,
		strings.Repeat("n", 256): nil, "bad\xff": nil,
	})
	require.ErrorIs(t, err, bundle.ErrInvalid)
	for _, want := range []string{
		"bundle: new: ", `flavor "my flavor"`, "created at", `input "a": the name comes twice`, `"DOUBLE"`, "shape [0]", `output ""`, "the shape is empty", `"b\xff"`, "shape [-2]",
		`metadata key ""`, `metadata key "a b"`, `metadata "c"`,
		`"/etc/passwd"`, `"../up"`, `"a/../b"`, `"a//b"`, `part "."`, `part ""`, `"c:d"`, `"e\\f"`, `"nul\x00"`, "part MLmodel", `"manifest.json"`, `"Manifest.JSON"`,
		"differ only in case", `"dir" is a file, and the folder of "DIR/file"`, "longer than 255", `"bad\xff"`,
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestNewKeepsTheLimits(t *testing.T) {
	s := spec()
	s.Metadata = map[string]string{"big": strings.Repeat("x", bundle.MaxManifestSize)}
	_, err := bundle.New(s, nil)
	require.ErrorContains(t, err, "put less into the metadata")
	require.ErrorIs(t, err, bundle.ErrInvalid)

	many := map[string][]byte{}
	for i := range bundle.MaxFiles {
		many[strings.Repeat("x", i/100+1)+string(rune('a'+i%100))] = nil
	}
	_, err = bundle.New(spec(), many)
	require.ErrorIs(t, err, bundle.ErrInvalid)
	require.ErrorContains(t, err, "1001 files, the limit is 1000")
}
