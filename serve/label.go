package serve

import (
	"context"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// LabelInput is the truth about one output of one row.
type LabelInput struct {
	ID     string      // of the request
	Index  int         // of the row within it, from 0
	Output string      // that the label is the truth of; "": LabelOutput
	Value  frame.Value // a number, text or truth value; taken over to the kind that the model predicts when nothing is lost
}

// LabelProblem is a label that was not stored, and why.
type LabelProblem struct {
	ID     string
	Index  int
	Reason string
}

// LabelReport is what became of a batch of labels.
type LabelReport struct {
	Stored    int            // the first of their rows
	Corrected int            // replaced another value
	Unchanged int            // their rows had them already
	Unknown   []LabelProblem // no answer is logged for their rows: too early, erased, or a wrong id
	Refused   []LabelProblem // no version on the route could have answered so
}

// Label stores labels of a served model's predictions; they are durable when
// it returns. A label that no version on the route could have answered (of
// another kind, or outside the classes of them all) is refused, and one without
// a logged answer is unknown: the report names both, and the others are stored.
// A label with another value than the one that is stored corrects it.
//
// Errors, with nothing stored: NotFound for the model, Invalid for a label
// without ID or with a negative Index, Unsupported without a Log, Closed, the
// store's.
func (s *Server) Label(ctx context.Context, model string, labels []LabelInput) (LabelReport, error) {
	report, err := s.label(ctx, model, labels)
	if err != nil {
		return LabelReport{}, fmt.Errorf("serve: label %s: %w", model, err)
	}
	return report, nil
}

func errNoLog() error {
	return fault.Errorf(fault.Unsupported, "the server keeps no prediction log: give it one in Options.Log")
}

func (s *Server) label(ctx context.Context, model string, inputs []LabelInput) (LabelReport, error) {
	var report LabelReport
	m, err := s.find(model)
	if err != nil {
		return report, err
	}
	if s.log == nil {
		return report, errNoLog()
	}
	labels, err := s.checkLabels(m, inputs, &report)
	if err != nil {
		return report, err
	}
	unknown, err := s.opts.Log.AppendLabels(ctx, labels)
	if err != nil {
		return report, err
	}
	stored := report.count(labels, len(unknown))
	if len(unknown) > 0 {
		// Their predictions may be answered and not yet stored.
		if err = s.Flush(ctx); err != nil {
			return report, err
		}
		again := unknown
		if unknown, err = s.opts.Log.AppendLabels(ctx, again); err != nil {
			return report, err
		}
		stored = append(stored, report.count(again, len(unknown))...)
	}
	for _, l := range unknown {
		report.Unknown = append(report.Unknown, LabelProblem{l.ID, l.Index, "no answer is logged under this id and row"})
	}
	s.observeLabels(ctx, m, stored)
	return report, nil
}

// count counts what the store did with labels of which so many were unknown,
// and returns those that it stored.
func (r *LabelReport) count(labels []Label, unknown int) []Label {
	var stored []Label
	for _, l := range labels {
		if l.Seq == 0 {
			continue
		}
		stored = append(stored, l)
		if l.Replaces.IsNull() {
			r.Stored++
		} else {
			r.Corrected++
		}
	}
	r.Unchanged += len(labels) - len(stored) - unknown
	return stored
}

// checkLabels returns the labels that a version on the route could have
// answered, with their values of its kind, and notes the others.
func (s *Server) checkLabels(m *served, inputs []LabelInput, report *LabelReport) ([]Label, error) {
	t := m.current.Load()
	if t == nil {
		return nil, fault.Errorf(fault.Closed, "the server is closed")
	}
	versions, at := t.versions(), s.opts.Now()
	labels := make([]Label, 0, len(inputs))
	var problems fault.Problems
	for i, in := range inputs {
		if in.ID == "" {
			problems.Addf("label %d has no id", i)
		}
		if in.Index < 0 {
			problems.Addf("label %d, of %q: row %d: want 0 or more", i, in.ID, in.Index)
		}
		value, reason := answerable(versions, in)
		if reason != "" {
			report.Refused = append(report.Refused, LabelProblem{in.ID, in.Index, reason})
			continue
		}
		labels = append(labels, Label{ID: in.ID, Index: in.Index, Output: in.Output, Model: m.name, Value: value, Time: at})
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	s.labelsRefused.Add(int64(len(report.Refused)))
	return labels, nil
}

// answerable returns the label's value as one of the versions would have
// answered it, or the reason why none could have.
func answerable(versions []*version, in LabelInput) (v frame.Value, reason string) {
	if in.Value.IsNull() {
		return v, "it has no value"
	}
	for _, candidate := range versions {
		var why string
		if v, why = candidate.shape.answerable(in); why == "" {
			return v, ""
		}
		if reason == "" { // the primary's reason says it best
			reason = why
		}
	}
	return v, reason
}

// answerable returns the label's value as the version would have answered it.
func (s *shape) answerable(in LabelInput) (v frame.Value, reason string) {
	i := s.label
	if in.Output != "" && in.Output != LabelOutput {
		if i = indexOf(s.signature.Outputs, in.Output); i < 0 || s.outWidths[i] != 1 {
			return v, fmt.Sprintf("the model has no output %q with one value a row", in.Output)
		}
	}
	if i < 0 { // it says nothing of what it predicts
		return in.Value, ""
	}
	kind := kindOf(frame.Datatype(s.signature.Outputs[i].Datatype))
	v, ok := convert(in.Value, kind)
	switch {
	case !ok:
		return v, fmt.Sprintf("%q is %s, the model predicts %s", in.Value.Text(), in.Value.Kind(), kind)
	case i == s.label && s.classes != nil && !s.classes[v]:
		return v, fmt.Sprintf("%q is none of the classes that the model predicts", in.Value.Text())
	}
	return v, ""
}

// convert returns v as a value of the kind, reporting whether nothing is lost.
// An unknown kind takes everything.
func convert(v frame.Value, kind frame.Kind) (frame.Value, bool) {
	switch {
	case v.Kind() == kind || kind == frame.Null:
		return v, true
	case v.Kind() == frame.Int64 && kind == frame.Float64:
		f := frame.FloatValue(v.Float())
		return f, f.Int() == v.Int()
	case v.Kind() == frame.Float64 && kind == frame.Int64:
		i := frame.IntValue(v.Int())
		return i, i.Float() == v.Float()
	case v.Kind() == frame.Int64 && kind == frame.Bool:
		return frame.BoolValue(v.Int() == 1), v.Int() == 0 || v.Int() == 1
	case v.Kind() == frame.Bool && kind == frame.Int64:
		return frame.IntValue(v.Int()), true
	}
	return v, false
}

// observeLabels tells the model's observer of each label that was stored, with
// the answer that it is the truth of.
func (s *Server) observeLabels(ctx context.Context, m *served, stored []Label) {
	observer := s.opts.Observers[m.name]
	if observer == nil || len(stored) == 0 {
		return
	}
	ids := make([]string, len(stored))
	for i, l := range stored {
		ids[i] = l.ID
	}
	found, err := s.opts.Log.Lookup(ctx, m.name, ids)
	if err != nil {
		s.opts.Logger.Warn("serve: the observer is not told of labels: their predictions cannot be read", "model", m.name, "labels", len(stored), "error", err)
		return // they are stored
	}
	answers := map[attemptKey]*Prediction{}
	for i := range found {
		if p := &found[i].Prediction; p.Status.OK() && p.Variant != Shadow {
			k := attemptKey{id: p.ID, index: p.Index}
			if before := answers[k]; before == nil || before.Attempt < p.Attempt {
				answers[k] = p
			}
		}
	}
	for _, l := range stored {
		p := answers[attemptKey{id: l.ID, index: l.Index}]
		if p == nil {
			continue
		}
		o := observation(p)
		o.Row, o.Label, o.Output, o.Time = frame.Row{}, l.Value, l.Output, l.Time
		if o.Output == "" {
			o.Output = LabelOutput
		}
		s.tell(observer, o)
	}
}
