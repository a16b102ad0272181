package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// ParseManifest reads the bytes of a manifest.json. Errors: Unsupported when a
// newer release wrote it; Corrupt, with everything that is wrong, when it is not
// the canonical JSON of a sound manifest.
func ParseManifest(data []byte) (Manifest, error) {
	m, err := parseManifest(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("bundle: %s: %w", ManifestFile, err)
	}
	return m, nil
}

func parseManifest(data []byte) (Manifest, error) {
	if len(data) > MaxManifestSize {
		return Manifest{}, fault.Errorf(fault.Corrupt, "%d bytes, the limit is %d", len(data), MaxManifestSize)
	}
	// The format comes first: a newer manifest must not be called corrupt.
	var head struct{ Format int }
	if err := json.Unmarshal(data, &head); err != nil {
		return Manifest{}, fault.Errorf(fault.Corrupt, "not a manifest: %w", err)
	}
	if head.Format > FormatVersion {
		return Manifest{}, fault.Errorf(fault.Unsupported, "the bundle is of format %d, this release reads up to %d: use the newer mlloop that wrote it", head.Format, FormatVersion)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, fault.Errorf(fault.Corrupt, "not a manifest: %w", err)
	}
	if err := m.sound(); err != nil {
		return Manifest{}, fault.Errorf(fault.Corrupt, "%v", err)
	}
	// One encoding only: unknown and doubled keys, other orders and spaces show here.
	canonical, err := encodeManifest(m)
	if err != nil || !bytes.Equal(canonical, data) {
		return Manifest{}, fault.Errorf(fault.Corrupt, "not in the canonical form: it was edited after it was written")
	}
	return m, nil
}

// sound lists what is wrong with a manifest that was read.
func (m Manifest) sound() error {
	var problems fault.Problems
	if m.Format < 1 {
		problems.Addf("format %d is unknown", m.Format)
	}
	if m.CreatedAt.Nanosecond()%int(time.Millisecond) != 0 {
		problems.Addf("created at %v: finer than a millisecond", m.CreatedAt)
	}
	m.check(&problems)
	paths := make([]string, 0, len(m.Files))
	for _, f := range m.Files {
		paths = append(paths, f.Path)
		if !digestForm.MatchString(f.Digest) {
			problems.Addf("file %q: digest %q is not 64 lower-case hex digits", f.Path, f.Digest)
		}
	}
	if !slices.Contains(paths, MLmodelFile) {
		problems.Addf("%s is missing from the list of files", MLmodelFile)
	}
	if !slices.IsSortedFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) || len(slices.Compact(slices.Clone(paths))) != len(paths) {
		problems.Addf("the files are not sorted by path, each once")
	}
	checkPaths(&problems, paths)
	checkSizes(&problems, m.Files)
	return problems.Err()
}

// encodeManifest returns the canonical JSON of m: RFC 8785, with keys in the
// order of their bytes (all keys are ASCII) and no spaces.
func encodeManifest(m Manifest) ([]byte, error) {
	m.CreatedAt = m.CreatedAt.UTC()
	if m.Files == nil {
		m.Files = []File{}
	}
	m.Signature = m.Signature.clone()
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.UseNumber() // sizes must not pass through float64
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out) // sorts the keys of maps
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, err
	}
	return unescapeSeparators(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}

// unescapeSeparators writes U+2028 and U+2029 plainly, as RFC 8785 asks;
// encoding/json always escapes them.
func unescapeSeparators(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u202`)) {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		switch rest := data[i:]; {
		case bytes.HasPrefix(rest, []byte(`\u2028`)):
			out = append(out, "\u2028"...)
			i += 5
		case bytes.HasPrefix(rest, []byte(`\u2029`)):
			out = append(out, "\u2029"...)
			i += 5
		case data[i] == '\\': // the next byte belongs to this escape: \\u2028 is no separator
			out = append(out, data[i], data[i+1])
			i++
		default:
			out = append(out, data[i])
		}
	}
	return out
}
