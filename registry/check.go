package registry

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// The limits of text, in characters. Names are as MLflow has them.
const (
	maxModelName = 256
	maxAlias     = 255
	maxID        = 256 // keys, actors, and what lineage points at
	maxReason    = 5000
)

var (
	aliasForm   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	versionLike = regexp.MustCompile(`^[vV][0-9]+$`)
)

// checkModel takes the names that MLflow takes, but for those that hold
// control characters or begin or end with a space.
func checkModel(problems *fault.Problems, name string) {
	switch {
	case name == "":
		problems.Addf("the model's name is empty")
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxModelName:
		problems.Addf("model %.100q: want at most %d characters of UTF-8", name, maxModelName)
	case strings.ContainsAny(name, "/:") || strings.ContainsFunc(name, unicode.IsControl):
		problems.Addf("model %q: want a name without /, : and control characters", name)
	case strings.TrimSpace(name) != name || path.Clean(name) != name || name == "." || name == "..":
		problems.Addf("model %q: want a name that is no path and has no space around it", name)
	}
}

func checkAlias(problems *fault.Problems, alias string) {
	switch {
	case !aliasForm.MatchString(alias):
		problems.Addf("alias %.100q: want 1 to %d letters, digits, _ and -", alias, maxAlias)
	case strings.EqualFold(alias, Latest):
		problems.Addf("alias %q: it always names the newest version", alias)
	case versionLike.MatchString(alias):
		problems.Addf("alias %q: it reads like a version number", alias)
	}
}

func checkNumber(problems *fault.Problems, what string, number, least int64) {
	if number < least {
		problems.Addf("%s %d: want at least %d", what, number, least)
	}
}

func checkState(problems *fault.Problems, s State) {
	if !slices.Contains([]State{Candidate, Approved, Rejected, Archived}, s) {
		problems.Addf("state %q: want %s, %s, %s or %s", s, Candidate, Approved, Rejected, Archived)
	}
}

// checkLine is for ids and names of people: one line.
func checkLine(problems *fault.Problems, what, s string) {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxID || strings.ContainsFunc(s, unicode.IsControl) {
		problems.Addf("%s %.100q: want at most %d characters of UTF-8 in one line", what, s, maxID)
	}
}

// checkText is for what people write: lines and tabs, no other control
// characters. U+0000 would be cut off or refused by databases.
func checkText(problems *fault.Problems, what, s string) {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxReason || strings.ContainsFunc(s, control) {
		problems.Addf("%s %.100q: want at most %d characters of UTF-8 without control characters", what, s, maxReason)
	}
}

// check takes what people say about a change. The actor may be the Client's.
func (e Event) check(problems *fault.Problems) {
	checkLine(problems, "actor", e.Actor)
	checkText(problems, "reason", e.Reason)
}

func (r Registration) check(problems *fault.Problems) {
	checkLine(problems, "key", r.Key)
	checkLine(problems, "lineage: run", r.Lineage.RunID)
	checkLine(problems, "lineage: data digest", r.Lineage.DataDigest)
	checkLine(problems, "lineage: code", r.Lineage.Code)
	checkNumber(problems, "lineage: parent", r.Lineage.Parent, 0)
	r.Lineage.checkRange(problems)
}

// checkRange takes a range of time with both ends, or none.
func (l Lineage) checkRange(problems *fault.Problems) {
	checkNumber(problems, "lineage: rows", l.Rows, 0)
	switch {
	case l.DataFrom.IsZero() != l.DataTo.IsZero():
		problems.Addf("lineage: data from %s to %s: want both times, or neither", l.DataFrom.Format(time.RFC3339), l.DataTo.Format(time.RFC3339))
	case l.DataTo.Before(l.DataFrom):
		problems.Addf("lineage: data from %s to %s: it ends before it begins", l.DataFrom.Format(time.RFC3339), l.DataTo.Format(time.RFC3339))
	}
}

// stored is the lineage as stores keep it, its times in UTC milliseconds. The
// end is rounded up: the range holds all of its rows.
func (l Lineage) stored() Lineage {
	if l.DataFrom.IsZero() {
		return l
	}
	l.DataFrom = time.UnixMilli(l.DataFrom.UnixMilli()).UTC()
	l.DataTo = time.UnixMilli(l.DataTo.Add(time.Millisecond - 1).UnixMilli()).UTC()
	return l
}
