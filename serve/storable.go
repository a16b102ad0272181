package serve

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Storable reports whether every store can keep a text as an ID, a key or
// another name: it is UTF-8 without the character U+0000, which PostgreSQL does
// not take. The values of features, outputs and labels are free.
func Storable(text string) bool {
	return strings.IndexByte(text, 0) < 0 && utf8.ValidString(text)
}

// Check reports what no store keeps, all of it: values that do not fit their
// schema, an unknown Variant or Status, a Propensity that is no number, texts that
// are not Storable. Stores call it. Errors: Invalid.
func (p Prediction) Check() error {
	if p.sound() {
		return nil
	}
	var problems fault.Problems
	for _, r := range []frame.Row{p.Features, p.Outputs} {
		if err := r.Check(); err != nil {
			problems.Addf("%v", err)
		}
	}
	if !p.Variant.known() {
		problems.Addf("unknown variant %q", p.Variant)
	}
	if !knownStatus(p.Status) {
		problems.Addf("unknown status %q", p.Status)
	}
	if math.IsNaN(p.Propensity) {
		problems.Addf("the propensity is NaN")
	}
	for _, text := range [...]struct{ what, text string }{{"id", p.ID}, {"model", p.Model}, {"key", p.Key}, {"trace id", p.TraceID}, {"error", p.Error}} {
		if !Storable(text.text) {
			problems.Addf("%s %q: want UTF-8 without the character U+0000", text.what, text.text)
		}
	}
	return fmt.Errorf("prediction %q: %w", p.ID, problems.Err())
}

// sound is Check without the words.
func (p *Prediction) sound() bool {
	return p.Features.Check() == nil && p.Outputs.Check() == nil && p.Variant.known() && knownStatus(p.Status) && !math.IsNaN(p.Propensity) &&
		Storable(p.ID) && Storable(p.Model) && Storable(p.Key) && Storable(p.TraceID) && Storable(p.Error)
}

func (v Variant) known() bool { return v == Primary || v == Canary || v == Shadow }

func knownStatus(s Status) bool {
	switch s {
	case frame.Answered, frame.Fallback, frame.Failed, frame.TimedOut, frame.Refused:
		return true
	}
	return false
}
