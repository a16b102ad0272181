package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
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
	b := &Bundle{
		manifest: Manifest{
			Format:    FormatVersion,
			Flavor:    spec.Flavor,
			CreatedAt: spec.CreatedAt.UTC().Truncate(time.Millisecond),
			Signature: spec.Signature.clone(),
		},
		parts: make(map[string][]byte, len(parts)+1),
	}
	if len(spec.Metadata) > 0 {
		b.manifest.Metadata = maps.Clone(spec.Metadata)
	}
	var problems fault.Problems
	b.manifest.check(&problems)
	if _, ok := parts[MLmodelFile]; ok {
		problems.Addf("part %s: the bundle writes this file itself", MLmodelFile)
	}
	checkPaths(&problems, append(slices.Sorted(maps.Keys(parts)), MLmodelFile))
	if err := problems.Err(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "bundle: new: %w", err)
	}

	mlmodel, err := encodeMLmodel(b.manifest, parts)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "bundle: new: %w", err)
	}
	maps.Copy(b.parts, parts)
	b.parts[MLmodelFile] = mlmodel
	b.manifest.Files = listFiles(b.parts)
	if err := b.seal(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "bundle: new: %w", err)
	}
	return b, nil
}

// listFiles describes the parts, by path.
func listFiles(parts map[string][]byte) []File {
	files := make([]File, 0, len(parts))
	for _, path := range slices.Sorted(maps.Keys(parts)) {
		files = append(files, File{Path: path, Size: int64(len(parts[path])), Digest: digestOf(parts[path])})
	}
	return files
}

// seal encodes the manifest and computes the digest.
func (b *Bundle) seal() error {
	var problems fault.Problems
	checkSizes(&problems, b.manifest.Files)
	encoded, err := encodeManifest(b.manifest)
	if err != nil {
		return err
	}
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
