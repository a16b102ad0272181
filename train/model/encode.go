package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/safetensors"
	"github.com/mlloop/mlloop/train/frame"
)

// FormatVersion is the version of the architecture's JSON that this release writes.
const FormatVersion = 1

// kindClassifier is the only kind of architecture in format 1.
const kindClassifier = "classifier"

type architecture struct {
	Format  int           `json:"format"`
	Kind    string        `json:"kind"`
	Layers  []layer       `json:"layers"`
	Classes []frame.Value `json:"classes"`
}

type layer struct {
	In         int        `json:"in"`
	Out        int        `json:"out"`
	Activation Activation `json:"activation"`
}

func weightName(i int) string { return fmt.Sprintf("layers.%d.weight", i) }
func biasName(i int) string   { return fmt.Sprintf("layers.%d.bias", i) }

// Encode returns the classifier's two files: the architecture as JSON and the
// weights as safetensors, float32 tensors layers.N.weight of shape [in, out]
// and layers.N.bias of shape [out]. Equal classifiers give equal bytes.
// Errors: Invalid, as Check reports.
func (c *Classifier) Encode() (architectureJSON, weights []byte, err error) {
	if err := c.Check(); err != nil {
		return nil, nil, fault.Errorf(fault.Invalid, "model: encode: %w", err)
	}
	a := architecture{Format: FormatVersion, Kind: kindClassifier, Classes: c.Classes}
	tensors := make(map[string]safetensors.Tensor, 2*len(c.Layers))
	for i := range c.Layers {
		d := &c.Layers[i]
		a.Layers = append(a.Layers, layer{d.In, d.Out, d.Activation})
		if tensors[weightName(i)], err = safetensors.New(d.W, int64(d.In), int64(d.Out)); err != nil {
			return nil, nil, fmt.Errorf("model: encode: %w", err)
		}
		if tensors[biasName(i)], err = safetensors.New(d.B, int64(d.Out)); err != nil {
			return nil, nil, fmt.Errorf("model: encode: %w", err)
		}
	}
	if architectureJSON, err = json.MarshalIndent(a, "", "  "); err != nil {
		return nil, nil, fmt.Errorf("model: encode: %w", err)
	}
	if weights, err = safetensors.Encode(safetensors.File{Tensors: tensors}); err != nil {
		return nil, nil, fmt.Errorf("model: encode: %w", err)
	}
	return append(architectureJSON, '\n'), weights, nil
}

// Decode reads what Encode wrote. Every part is checked: an unknown field, a
// missing or a surplus tensor, a shape that differs and a weight that is not
// finite are errors. Errors: Corrupt, saying what is wrong; Unsupported for the
// format of a newer release.
func Decode(architectureJSON, weights []byte) (*Classifier, error) {
	a, err := decodeArchitecture(architectureJSON)
	if err != nil {
		return nil, fmt.Errorf("model: decode: %w", err)
	}
	c, err := decodeWeights(a, weights)
	if err != nil {
		return nil, fmt.Errorf("model: decode: %w", err)
	}
	return c, nil
}

func decodeArchitecture(data []byte) (architecture, error) {
	// The format comes first: a newer one may have fields that this release
	// does not know, and is not corrupt for it.
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return architecture{}, fault.Errorf(fault.Corrupt, "the architecture is not JSON: %v", err)
	}
	if head.Format > FormatVersion {
		return architecture{}, fault.Errorf(fault.Unsupported,
			"the architecture has format %d, this release reads up to %d: update mlloop", head.Format, FormatVersion)
	}
	var a architecture
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return a, fault.Errorf(fault.Corrupt, "the architecture: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return a, fault.Errorf(fault.Corrupt, "the architecture goes on after its JSON object")
	}
	var problems fault.Problems
	if a.Format < 1 {
		problems.Addf("format %d, want 1 to %d", a.Format, FormatVersion)
	}
	if a.Kind != kindClassifier {
		problems.Addf("kind %q, want %q", a.Kind, kindClassifier)
	}
	checkShape(&problems, a.layers(), a.Classes)
	if err := problems.Err(); err != nil {
		return a, fault.Errorf(fault.Corrupt, "the architecture: %v", err)
	}
	return a, nil
}

// layers returns the layers without their weights.
func (a architecture) layers() []Dense {
	layers := make([]Dense, len(a.Layers))
	for i, l := range a.Layers {
		layers[i] = Dense{In: l.In, Out: l.Out, Activation: l.Activation}
	}
	return layers
}

func decodeWeights(a architecture, weights []byte) (*Classifier, error) {
	file, err := safetensors.Decode(weights)
	if err != nil {
		return nil, err
	}
	c := &Classifier{Layers: a.layers(), Classes: a.Classes}
	var problems fault.Problems
	for i := range c.Layers {
		d := &c.Layers[i]
		d.W = take(&problems, file.Tensors, weightName(i), int64(d.In), int64(d.Out))
		d.B = take(&problems, file.Tensors, biasName(i), int64(d.Out))
	}
	for _, name := range slices.Sorted(maps.Keys(file.Tensors)) {
		problems.Addf("tensor %q belongs to no layer", name)
	}
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "the weights: %v", err)
	}
	return c, nil
}

// take removes the named tensor and returns its values, or notes what is wrong with it.
func take(problems *fault.Problems, tensors map[string]safetensors.Tensor, name string, shape ...int64) []float32 {
	t, ok := tensors[name]
	if !ok {
		problems.Addf("tensor %q is missing", name)
		return nil
	}
	delete(tensors, name)
	if t.Dtype != safetensors.F32 || !slices.Equal(t.Shape, shape) {
		problems.Addf("tensor %q is %s %v, want %s %v", name, t.Dtype, t.Shape, safetensors.F32, shape)
		return nil
	}
	values, err := safetensors.Values[float32](t)
	if err != nil {
		problems.Addf("tensor %q: %v", name, err)
		return nil
	}
	if !finite(values) {
		problems.Addf("tensor %q has values that are not finite", name)
	}
	return values
}
