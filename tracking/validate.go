package tracking

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// The limits, in characters, are those of MLflow's REST API; only an input's
// digest may be longer, so that SHA-256 in hex fits.
const (
	maxKeyLength        = 250
	maxParamLength      = 6000
	maxTagLength        = 8000
	maxExperimentLength = 500
	maxRunNameLength    = 250
	maxRunIDLength      = 256
	maxInputLength      = 500 // name, digest, context
	maxSourceLength     = 65535
	maxArtifactLength   = 1000
	maxLimit            = 50000
	maxErrorLength      = 6000 // of a failed run; longer ones are cut
)

// maxIndexed bounds, in bytes of UTF-8, what tells a file or an input of a run
// apart: PostgreSQL's indexes take 2,704 bytes a row.
const maxIndexed = 2000

// keyProblem says what is wrong with the key of a metric, param or tag, or "".
func keyProblem(what, key string) string {
	switch {
	case key == "":
		return what + ` key "" is empty`
	case len(key) > maxKeyLength && utf8.RuneCountInString(key) > maxKeyLength:
		return fmt.Sprintf("%s key %.20q… is longer than %d characters", what, key, maxKeyLength)
	}
	for _, c := range key {
		if !keyRune(c) {
			return fmt.Sprintf("%s key %q holds %q: use letters, digits, _ - . / : and space", what, key, c)
		}
	}
	// A key names a file in some trackers: it must be a clean relative path.
	if key[0] == '/' || strings.HasPrefix(key, "..") || key == "." || path.Clean(key) != key {
		return fmt.Sprintf("%s key %q is no clean relative path: no leading, doubled or trailing /, no . or ..", what, key)
	}
	return ""
}

func keyRune(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case c < utf8.RuneSelf:
		return strings.ContainsRune("_-. /:", c)
	}
	return c != utf8.RuneError && (unicode.IsLetter(c) || unicode.IsDigit(c))
}

// textProblem says what is wrong with a text of at most limit characters, or "".
func textProblem(what, text string, limit int) string {
	if len(text) > limit && utf8.RuneCountInString(text) > limit {
		return fmt.Sprintf("%s is longer than %d characters", what, limit)
	}
	if problem := storableProblem(text); problem != "" {
		return what + " " + problem
	}
	return ""
}

// checks gathers problems; "" is none.
type checks struct{ fault.Problems }

func (c *checks) add(problem string) {
	if problem != "" {
		c.Problems = append(c.Problems, problem)
	}
}

// required checks a text that must not be empty.
func (c *checks) required(what, text string, limit int) {
	if text == "" {
		c.add(what + " is empty")
	}
	c.add(textProblem(what, text, limit))
}

func checkStart(experiment string, opts *RunOptions) error {
	var c checks
	c.required("experiment name", experiment, maxExperimentLength)
	if opts.ID != "" && !validRunID(opts.ID) {
		c.Addf("run id %q: want a letter or digit, then up to %d letters, digits, _ and -", opts.ID, maxRunIDLength-1)
	}
	c.add(textProblem("run name", opts.Name, maxRunNameLength))
	for _, key := range sortedKeys(opts.Tags) {
		c.add(keyProblem("tag", key))
		c.add(textProblem(fmt.Sprintf("value of tag %q", key), opts.Tags[key], maxTagLength))
	}
	return c.Err()
}

func validRunID(id string) bool {
	if id == "" || len(id) > maxRunIDLength {
		return false
	}
	for i, c := range []byte(id) {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || (c != '_' && c != '-')) {
			return false
		}
	}
	return true
}

func checkInput(in Input) error {
	var c checks
	c.required("name", in.Name, maxInputLength)
	c.required("digest", in.Digest, maxInputLength)
	c.add(textProblem("context", in.Context, maxInputLength))
	if n := len(in.Name) + len(in.Digest) + len(in.Context); n > maxIndexed {
		c.Addf("name, digest and context take %d bytes together, the limit is %d", n, maxIndexed)
	}
	c.add(textProblem("source", in.Source, maxSourceLength))
	if in.Rows < 0 {
		c.Addf("%d rows", in.Rows)
	}
	if err := c.Err(); err != nil {
		return fmt.Errorf("input %q: %w", in.Name, err)
	}
	return nil
}

func checkArtifactPath(name string) error {
	var c checks
	if !fs.ValidPath(name) || name == "." || strings.Contains(name, `\`) {
		c.Addf("path %q: want a relative path with / between its parts, without . and ..", name)
	}
	c.add(textProblem("path", name, maxArtifactLength))
	if len(name) > maxIndexed {
		c.Addf("the path takes %d bytes, the limit is %d", len(name), maxIndexed)
	}
	return c.Err()
}

func checkQuery(q RunQuery) error {
	var c checks
	if q.Limit < 0 || q.Limit > maxLimit {
		c.Addf("limit %d: want 1 to %d, or 0 for 1,000", q.Limit, maxLimit)
	}
	for _, s := range q.Statuses {
		if s != Running && s != Finished && s != Failed && s != Killed {
			c.Addf("status %q: want %s, %s, %s or %s", s, Running, Finished, Failed, Killed)
		}
	}
	if err := q.CheckText(); err != nil {
		c.add(err.Error())
	}
	return c.Err()
}
