package drift

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// CheckSave reports everything that is wrong with the arguments of Store.Save
// as one Invalid error: stores call it before they store anything.
func CheckSave(c Checkpoint, changed []Alert) error {
	var problems fault.Problems
	if c.Model == "" {
		problems.Addf("the checkpoint names no model")
	}
	if c.Rev < 1 {
		problems.Addf("the checkpoint has Rev %d: want the stored one's and 1, or 1 for the first", c.Rev)
	}
	if c.Token < 0 {
		problems.Addf("the checkpoint has Token %d: want no negative number", c.Token)
	}
	checkText(&problems, "the model", c.Model)
	seen := map[string]bool{}
	for i, a := range changed {
		if a.ID == "" {
			problems.Addf("alert %d has no id", i)
			continue
		}
		if seen[a.ID] {
			problems.Addf("alert %s comes twice", a.ID)
		}
		seen[a.ID] = true
		if a.Model != c.Model {
			problems.Addf("alert %s is of model %q, the checkpoint of %q", a.ID, a.Model, c.Model)
		}
		checkAlert(&problems, i, a)
	}
	return problems.Err()
}

// checkAlert adds what is wrong with the i-th alert alone.
func checkAlert(p *fault.Problems, i int, a Alert) {
	for _, text := range []string{a.ID, a.Source, string(a.Severity), a.Reason} {
		checkText(p, fmt.Sprintf("alert %d", i), text)
	}
	if a.FiredAt.IsZero() {
		p.Addf("alert %s has no time of firing", a.ID)
	}
	if !a.Firing() && a.ResolvedAt.Before(a.FiredAt) {
		p.Addf("alert %s resolved before it fired", a.ID)
	}
	if sum := a.Magnitude + a.Worst; math.IsNaN(sum) || math.IsInf(sum, 0) {
		p.Addf("alert %s: its magnitude is not finite", a.ID)
	}
	for _, f := range a.Columns {
		if sum := f.Value + f.Threshold + f.PValue; math.IsNaN(sum) || math.IsInf(sum, 0) {
			p.Addf("alert %s: column %q: a figure is not finite", a.ID, f.Column)
		}
	}
}

// checkText reports what no database keeps.
func checkText(p *fault.Problems, what, text string) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		p.Addf("%s: %.100q is no UTF-8, or holds the character U+0000", what, text)
	}
}

// CheckAfter reports a Conflict error when c cannot be stored over the stored
// checkpoint, the zero value when there is none: its Rev is not the next one, or
// a writer with a larger Token has written since.
func (c Checkpoint) CheckAfter(stored Checkpoint) error {
	switch {
	case stored.Token > c.Token:
		return fault.Errorf(fault.Conflict, "a writer with token %d has taken over from the one with token %d: leave the model to it", stored.Token, c.Token)
	case stored.Rev != c.Rev-1:
		return fault.Errorf(fault.Conflict, "the stored checkpoint has revision %d, not %d: read it again", stored.Rev, c.Rev-1)
	}
	return nil
}
