package bundle

import (
	"encoding/json"

	yaml "go.yaml.in/yaml/v3"
)

// mlmodel is the MLmodel file, with the fields of MLflow's Model class that a
// bundle knows. MLflow keeps the signature as JSON text inside the YAML.
type mlmodel struct {
	Flavors        map[quoted]mlflowFlavor `yaml:"flavors"`
	Metadata       map[quoted]quoted       `yaml:"metadata,omitempty"`
	ModelSizeBytes int64                   `yaml:"model_size_bytes"`
	Signature      *mlflowSignature        `yaml:"signature,omitempty"`
	CreatedAt      quoted                  `yaml:"utc_time_created"`
}

type mlflowFlavor struct {
	Format   int    `yaml:"format"`
	Manifest quoted `yaml:"manifest"`
}

type mlflowSignature struct {
	Inputs  quoted `yaml:"inputs,omitempty"`
	Outputs quoted `yaml:"outputs,omitempty"`
}

type mlflowTensor struct {
	Name string         `json:"name"`
	Type string         `json:"type"`
	Spec mlflowTypeSpec `json:"tensor-spec"`
}

type mlflowTypeSpec struct {
	Dtype string  `json:"dtype"`
	Shape []int64 `json:"shape"`
}

// quoted is a string that is always written in double quotes. MLflow reads
// YAML 1.1, where plain words such as no, 1_000 and = are not strings.
type quoted string

func (q quoted) MarshalYAML() (any, error) {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: string(q)}, nil
}

// encodeMLmodel returns the MLmodel file of a manifest that lists all others.
func encodeMLmodel(m Manifest) ([]byte, error) {
	out := mlmodel{
		Flavors:   map[quoted]mlflowFlavor{quoted(m.Flavor): {Format: m.Format, Manifest: ManifestFile}},
		CreatedAt: quoted(m.CreatedAt.Format("2006-01-02 15:04:05.000000")), // as Python prints a naive datetime
	}
	for _, f := range m.Files {
		out.ModelSizeBytes += f.Size
	}
	if len(m.Metadata) > 0 {
		out.Metadata = make(map[quoted]quoted, len(m.Metadata))
		for key, value := range m.Metadata {
			out.Metadata[quoted(key)] = quoted(value)
		}
	}
	inputs, err := mlflowTensors(m.Signature.Inputs)
	if err != nil {
		return nil, err
	}
	outputs, err := mlflowTensors(m.Signature.Outputs)
	if err != nil {
		return nil, err
	}
	if inputs != "" || outputs != "" {
		out.Signature = &mlflowSignature{Inputs: inputs, Outputs: outputs}
	}
	return yaml.Marshal(out)
}

// mlflowTensors returns the JSON of a list of tensors, "" for an empty list:
// MLflow knows no schema without members.
func mlflowTensors(specs []TensorSpec) (quoted, error) {
	if len(specs) == 0 {
		return "", nil
	}
	types := numpyTypes()
	tensors := make([]mlflowTensor, 0, len(specs))
	for _, s := range specs {
		tensors = append(tensors, mlflowTensor{Name: s.Name, Type: "tensor", Spec: mlflowTypeSpec{Dtype: types[s.Datatype], Shape: s.Shape}})
	}
	text, err := json.Marshal(tensors)
	return quoted(text), err
}
