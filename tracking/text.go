package tracking

import (
	"strings"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// CheckText returns Invalid unless every backend can store the texts: they are
// UTF-8 and hold no U+0000, which PostgreSQL refuses. Stores call it, so that
// all of them refuse the same.
func CheckText(texts ...string) error {
	for _, text := range texts {
		if problem := storableProblem(text); problem != "" {
			return fault.Errorf(ErrInvalid, "%.40q %s", text, problem)
		}
	}
	return nil
}

// storableProblem says why a text cannot be stored, or "".
func storableProblem(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "is no valid UTF-8"
	case strings.ContainsRune(text, 0):
		return "holds a zero byte"
	}
	return ""
}

// CheckText is CheckText of every text in the batch.
func (b Batch) CheckText() error {
	var c textChecks
	for _, m := range b.Metrics {
		c.check(m.Key)
	}
	for _, pairs := range []map[string]string{b.Params, b.Tags} {
		for key, value := range pairs {
			c.check(key, value)
		}
	}
	for _, in := range b.Inputs {
		c.check(in.Name, in.Digest, in.Context, in.Source)
	}
	for _, a := range b.Artifacts {
		c.check(a.Path, a.Digest)
	}
	return c.err
}

// CheckText is CheckText of every text in the query.
func (q RunQuery) CheckText() error {
	var c textChecks
	c.check(q.ExperimentID, q.Page)
	for key, value := range q.Tags {
		c.check(key, value)
	}
	for _, s := range q.Statuses {
		c.check(string(s))
	}
	return c.err
}

// CheckText is CheckText of every text in the run.
func (r RunInfo) CheckText() error {
	return CheckText(r.ID, r.ExperimentID, r.Name, string(r.Status), r.Error)
}

// CheckText is CheckText of every text in the patch.
func (p RunPatch) CheckText() error {
	var c textChecks
	c.check(p.ID, string(p.Status), p.Error)
	if p.Name != nil {
		c.check(*p.Name)
	}
	return c.err
}

// textChecks keeps the first error.
type textChecks struct{ err error }

func (c *textChecks) check(texts ...string) {
	if c.err == nil {
		c.err = CheckText(texts...)
	}
}
