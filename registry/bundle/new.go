package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Spec is what New packs besides the parts. Equal specs and parts give
// bundles of equal digests.
type Spec struct {
	Flavor    string    // how to load it, such as "mlloop.classifier"; letters, digits, "_", "-", "."
	CreatedAt time.Time // stored in UTC, to the millisecond
	Signature Signature // may be empty
	Metadata  map[string]string
}

// New packs the parts, by path, into a bundle in memory and adds the manifest
// and the MLmodel file. The bundle keeps the slices, which may be large, rather
// than copies: do not change them any more. Errors: Invalid, listing everything
// that is wrong.
func New(spec Spec, parts map[string][]byte) (*Bundle, error) {
	names := slices.Sorted(maps.Keys(parts))
	b, err := begin(spec, names)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "bundle: new: %w", err)
	}
	maps.Copy(b.parts, parts)
	for _, name := range names {
		b.manifest.Files = append(b.manifest.Files, File{Path: name, Size: int64(len(parts[name])), Digest: digestOf(parts[name])})
	}
	if err := b.seal(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "bundle: new: %w", err)
	}
	return b, nil
}

// begin returns a bundle without files, after checking what they will be called.
func begin(spec Spec, names []string) (*Bundle, error) {
	b := &Bundle{
		manifest: Manifest{
			Format:    FormatVersion,
			Flavor:    spec.Flavor,
			CreatedAt: spec.CreatedAt.UTC().Truncate(time.Millisecond),
			Signature: spec.Signature.clone(),
		},
		parts: make(map[string][]byte, len(names)+1),
	}
	if len(spec.Metadata) > 0 {
		b.manifest.Metadata = maps.Clone(spec.Metadata)
	}
	var problems fault.Problems
	b.manifest.check(&problems)
	if slices.Contains(names, MLmodelFile) {
		problems.Addf("part %s: the bundle writes this file itself", MLmodelFile)
	}
	checkPaths(&problems, append(slices.Clone(names), MLmodelFile))
	return b, problems.Err()
}

// seal adds the MLmodel file to those that are listed, encodes the manifest and
// computes the digest.
func (b *Bundle) seal() error {
	mlmodel, err := encodeMLmodel(b.manifest)
	if err != nil {
		return err
	}
	b.parts[MLmodelFile] = mlmodel
	b.manifest.Files = append(b.manifest.Files, File{Path: MLmodelFile, Size: int64(len(mlmodel)), Digest: digestOf(mlmodel)})
	slices.SortFunc(b.manifest.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	encoded, err := encodeManifest(b.manifest)
	if err != nil {
		return err
	}
	var problems fault.Problems
	checkSizes(&problems, b.manifest.Files)
	if len(encoded) > MaxManifestSize {
		problems.Addf("%s takes %d bytes, the limit is %d: put less into the metadata", ManifestFile, len(encoded), MaxManifestSize)
	}
	b.encoded, b.digest = encoded, digestOf(encoded)
	return problems.Err()
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
