package registry

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// Latest is the alias that always names the version with the highest number.
// It cannot be set.
const Latest = "latest"

// Ref names a version: by its number, or by an alias when Number is 0.
type Ref struct {
	Model  string
	Alias  string
	Number int64
}

// String returns the form that ParseRef reads.
func (r Ref) String() string {
	if r.Number != 0 {
		return VersionRef(r.Model, r.Number)
	}
	return r.Model + "@" + r.Alias
}

// VersionRef returns the reference to a version by its number, such as churn/3.
func VersionRef(model string, number int64) string { return fmt.Sprintf("%s/%d", model, number) }

// ParseRef reads a reference to a version: churn@champion, churn/3,
// churn/latest, or the same with MLflow's models:/ before it. Errors: Invalid,
// saying what to write instead.
func ParseRef(s string) (Ref, error) {
	r, problem := parseRef(s)
	if problem == "" {
		var problems fault.Problems
		checkModel(&problems, r.Model)
		if r.Number == 0 && !strings.EqualFold(r.Alias, Latest) {
			checkAlias(&problems, r.Alias)
		}
		problem = strings.Join(problems, "; ")
	}
	if problem != "" {
		return Ref{}, fault.Errorf(ErrInvalid, "reference %q: %s", s, problem)
	}
	return r, nil
}

func parseRef(s string) (r Ref, problem string) {
	s = strings.TrimPrefix(s, "models:/")
	if model, version, ok := strings.Cut(s, "/"); ok {
		if strings.EqualFold(version, Latest) {
			return Ref{Model: model, Alias: Latest}, ""
		}
		number, err := strconv.ParseInt(version, 10, 64)
		if err != nil || number < 1 || strconv.FormatInt(number, 10) != version {
			return Ref{}, fmt.Sprintf("%q is no version number: write model/3, or model@alias", version)
		}
		return Ref{Model: model, Number: number}, ""
	}
	at := strings.LastIndexByte(s, '@') // a model's name may hold one, an alias not
	if at < 0 {
		return Ref{}, "it names no version: write model@champion, or model/3"
	}
	alias := s[at+1:]
	if strings.EqualFold(alias, Latest) {
		alias = Latest
	}
	return Ref{Model: s[:at], Alias: alias}, ""
}
