package bundle

import (
	"maps"
	"slices"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrNotFound      = fault.NotFound
	ErrAlreadyExists = fault.AlreadyExists
	ErrInvalid       = fault.Invalid
	ErrUnsupported   = fault.Unsupported
	ErrUnavailable   = fault.Unavailable
	ErrCorrupt       = fault.Corrupt
)

// FormatVersion is the version of the folder's layout that this release
// writes. It reads this one and all before it.
const FormatVersion = 1

// The limits of a bundle. What is beyond them is neither written nor read.
const (
	MaxSize         = 1 << 30 // bytes of all files together
	MaxFiles        = 1000
	MaxManifestSize = 1 << 20 // bytes
)

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

// Bundle is one model with all that serving it needs. It is an fs.FS of its
// files. Small ones are held in memory; larger ones stay where they lie and are
// verified as they are read, so that a bundle takes little memory. It never
// changes and is safe for concurrent use.
type Bundle struct {
	manifest Manifest
	encoded  []byte // manifest.json
	digest   string
	parts    map[string][]byte // the files in memory
	source   Source            // of the others
}

// Digest returns the bundle's identity: the SHA-256 of manifest.json in 64
// lower-case hex digits, which covers every file through the manifest.
func (b *Bundle) Digest() string { return b.digest }

// Manifest returns the manifest. The caller may change what it gets.
func (b *Bundle) Manifest() Manifest { return b.manifest.clone() }

// Signature returns what the model takes and gives. The caller may change what it gets.
func (b *Bundle) Signature() Signature { return b.manifest.Signature.clone() }

// Files returns the manifest's list: every file but manifest.json, by path.
func (b *Bundle) Files() []File { return slices.Clone(b.manifest.Files) }

func (b *Bundle) names() []string {
	names := make([]string, 0, len(b.manifest.Files))
	for _, f := range b.manifest.Files {
		names = append(names, f.Path)
	}
	return names
}

func (m Manifest) clone() Manifest {
	m.Signature = m.Signature.clone()
	m.Metadata = maps.Clone(m.Metadata)
	m.Files = slices.Clone(m.Files)
	return m
}

func (s Signature) clone() Signature {
	return Signature{Inputs: cloneSpecs(s.Inputs), Outputs: cloneSpecs(s.Outputs)}
}

// cloneSpecs never returns nil: the manifest says [], not null.
func cloneSpecs(specs []TensorSpec) []TensorSpec {
	out := make([]TensorSpec, 0, len(specs))
	for _, s := range specs {
		s.Shape = append([]int64{}, s.Shape...)
		out = append(out, s)
	}
	return out
}
