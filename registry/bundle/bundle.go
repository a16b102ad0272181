// Package bundle says what a model version is on disk: a folder with a
// manifest, an MLmodel file, and named parts whose codecs belong to the
// packages that use them (weights, features, reference profile …).
package bundle

import "time"

// FormatVersion is the version of the folder's layout that this release writes.
const FormatVersion = 1

// The names of the parts that mlloop itself writes.
const (
	ManifestFile = "manifest.json"
	MLmodelFile  = "MLmodel"

	ModelPart      = "model.json"          // architecture: train/model
	WeightsPart    = "weights.safetensors" // train/model
	FeaturesPart   = "features.json"       // train/feature
	ProfilePart    = "profile.json"        // train/profile
	EvaluationPart = "evaluation.json"     // train/metric
)

// TensorSpec describes one input or output. A dimension of -1 is free; the
// first one is the batch.
type TensorSpec struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"` // of the Open Inference Protocol v2, such as FP64
	Shape    []int64 `json:"shape"`
}

// Signature is what the model takes and gives.
type Signature struct {
	Inputs  []TensorSpec `json:"inputs"`
	Outputs []TensorSpec `json:"outputs"`
}

// File is one part in the manifest.
type File struct {
	Path   string `json:"path"`   // slash-separated, relative, clean
	Size   int64  `json:"size"`   // bytes
	Digest string `json:"digest"` // SHA-256, hex
}

// Manifest lists what is in the bundle. Its canonical JSON's SHA-256 is the
// bundle's digest.
type Manifest struct {
	Format    int               `json:"format"`
	Flavor    string            `json:"flavor"` // how to load it: "mlloop.classifier", …
	CreatedAt time.Time         `json:"created_at"`
	Signature Signature         `json:"signature"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	Files     []File            `json:"files"` // by path, the manifest itself left out
}
