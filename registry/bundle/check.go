package bundle

import (
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

var (
	flavorForm      = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)
	metadataKeyForm = regexp.MustCompile(`^[A-Za-z0-9_./-]{1,250}$`)
	digestForm      = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// maxName bounds names and paths, in bytes: what file systems take in one name.
const maxName = 255

// numpyTypes maps the datatypes that a signature may use to numpy's names for
// them, which MLflow's signatures use.
func numpyTypes() map[string]string {
	return map[string]string{
		"BOOL": "bool", "BYTES": "str", "FP32": "float32", "FP64": "float64",
		"INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
		"UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
	}
}

// check notes what is wrong with everything but the files.
func (m Manifest) check(problems *fault.Problems) {
	if !flavorForm.MatchString(m.Flavor) {
		problems.Addf("flavor %q: want 1 to 100 letters, digits, _, - and .", m.Flavor)
	}
	if m.CreatedAt.IsZero() || m.CreatedAt.Year() < 1 || m.CreatedAt.Year() > 9999 {
		problems.Addf("created at %v: want the time at which the model was made", m.CreatedAt)
	}
	checkTensors(problems, "input", m.Signature.Inputs)
	checkTensors(problems, "output", m.Signature.Outputs)
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		if !metadataKeyForm.MatchString(key) {
			problems.Addf("metadata key %q: want 1 to 250 letters, digits, _, -, . and /", key)
		}
		if !utf8.ValidString(m.Metadata[key]) {
			problems.Addf("metadata %q: its value is not UTF-8", key)
		}
	}
}

func checkTensors(problems *fault.Problems, what string, specs []TensorSpec) {
	types := numpyTypes()
	seen := map[string]bool{}
	for _, s := range specs {
		if s.Name == "" || len(s.Name) > maxName || !utf8.ValidString(s.Name) {
			problems.Addf("%s %q: want a name of 1 to %d bytes of UTF-8", what, s.Name, maxName)
		}
		if seen[s.Name] {
			problems.Addf("%s %q: the name comes twice", what, s.Name)
		}
		seen[s.Name] = true
		if types[s.Datatype] == "" {
			problems.Addf("%s %q: datatype %q: want one of %s", what, s.Name, s.Datatype, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
		}
		if len(s.Shape) == 0 {
			problems.Addf("%s %q: the shape is empty: want the batch, -1, as its first dimension", what, s.Name)
		}
		if slices.ContainsFunc(s.Shape, func(d int64) bool { return d < -1 || d == 0 }) {
			problems.Addf("%s %q: shape %v: want dimensions of at least 1, or -1 for a free one", what, s.Name, s.Shape)
		}
	}
}

// checkPaths notes paths that are unsafe to write, or that no file system can
// hold side by side. The paths need not be sorted.
func checkPaths(problems *fault.Problems, paths []string) {
	if len(paths) > MaxFiles {
		problems.Addf("%d files, the limit is %d", len(paths), MaxFiles)
		return
	}
	folded := map[string]string{} // some file systems do not tell a from A
	for _, path := range paths {
		if problem := pathProblem(path); problem != "" {
			problems.Addf("part %q: %s", path, problem)
		}
		if other, ok := folded[strings.ToLower(path)]; ok && other != path {
			problems.Addf("parts %q and %q differ only in case", other, path)
		}
		folded[strings.ToLower(path)] = path
	}
	for _, path := range paths {
		for i, c := range path {
			if other, ok := folded[strings.ToLower(path[:i])]; ok && c == '/' {
				problems.Addf("part %q is a file, and the folder of %q", other, path)
			}
		}
	}
}

func pathProblem(path string) string {
	switch {
	case !fs.ValidPath(path) || path == ".":
		return `want a relative path with "/" between its elements, without "." and ".."`
	case len(path) > maxName:
		return "the path is longer than 255 bytes"
	case strings.ContainsAny(path, `\:*?"<>|`) || strings.ContainsFunc(path, unicode.IsControl):
		return `want no control character and none of \ : * ? " < > |`
	case strings.EqualFold(path, ManifestFile):
		return "the bundle writes this file itself"
	}
	return ""
}

func checkSizes(problems *fault.Problems, files []File) {
	var total int64
	for _, f := range files {
		if f.Size < 0 || f.Size > MaxSize {
			problems.Addf("file %q: %d bytes, the limit is %d", f.Path, f.Size, MaxSize)
			return
		}
		total += f.Size
	}
	if total > MaxSize {
		problems.Addf("the files take %d bytes together, the limit is %d", total, MaxSize)
	}
}
