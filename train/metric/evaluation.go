package metric

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
)

// FormatVersion is the version of the JSON that Evaluation.Marshal writes;
// DecodeEvaluation reads it and all before it.
const FormatVersion = 1

const formatName = "mlloop.evaluation"

// Evaluation is every metric of one model on one set of rows: what travels in a
// bundle.
type Evaluation struct {
	Rows      int         `json:"rows"`
	Classes   int         `json:"classes"`
	Results   []Result    `json:"results"`
	Undefined []Undefined `json:"undefined,omitempty"`
}

// Undefined is a metric that the rows do not define, and why.
type Undefined struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Evaluate returns every metric of the scores. A metric that these rows do not
// define, such as the AUC where a class has no rows, is listed as undefined.
// Errors: Invalid for scores that fail Scores.Check and options out of range.
func Evaluate(s Scores, opts *Options) (Evaluation, error) {
	_, err := opts.withDefaults(len(s.Labels))
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return Evaluation{}, fault.Errorf(fault.Invalid, "metric: evaluate: %w", err)
	}
	e := Evaluation{Rows: len(s.Labels), Classes: s.Classes}
	for _, m := range All() {
		r, err := m.Evaluate(s, opts)
		if err != nil {
			e.Undefined = append(e.Undefined, Undefined{m.Name, err.Error()})
			continue
		}
		e.Results = append(e.Results, r)
	}
	return e, nil
}

// Get returns the named result, reporting whether there is one.
func (e Evaluation) Get(name string) (Result, bool) {
	for _, r := range e.Results {
		if r.Name == name {
			return r, true
		}
	}
	return Result{}, false
}

type evaluationJSON struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Evaluation
}

// Marshal returns the evaluation as JSON. Errors: Invalid for a number that is
// not finite.
func (e Evaluation) Marshal() ([]byte, error) {
	b, err := json.MarshalIndent(evaluationJSON{formatName, FormatVersion, e}, "", "  ")
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "metric: marshal evaluation: %w", err)
	}
	return append(b, '\n'), nil
}

// DecodeEvaluation reads what Marshal wrote. Errors: Unsupported for a newer
// version, Corrupt for anything else.
func DecodeEvaluation(b []byte) (Evaluation, error) {
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Evaluation{}, fault.Errorf(fault.Corrupt, "metric: decode evaluation: %w", err)
	}
	switch {
	case head.Format != formatName || head.Version < 1:
		return Evaluation{}, fault.Errorf(fault.Corrupt, "metric: decode evaluation: format %q version %d is not %q", head.Format, head.Version, formatName)
	case head.Version > FormatVersion:
		return Evaluation{}, fault.Errorf(fault.Unsupported, "metric: decode evaluation: version %d is newer than %d, the newest this release reads; upgrade mlloop", head.Version, FormatVersion)
	}
	var in evaluationJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return Evaluation{}, fault.Errorf(fault.Corrupt, "metric: decode evaluation: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Evaluation{}, fault.Errorf(fault.Corrupt, "metric: decode evaluation: text after the end")
	}
	return in.Evaluation, nil
}
