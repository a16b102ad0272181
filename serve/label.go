package serve

import (
	"context"
	"fmt"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// LabelInput is the truth about one prediction.
type LabelInput struct {
	ID    string      // of the prediction
	Value frame.Value // a number, text or truth value; taken over to the kind that the model predicts when nothing is lost
}

// Label stores labels of a served model's predictions; they are durable when
// it returns. An equal label for an ID that has one changes nothing. Errors:
// NotFound, naming the IDs without a logged prediction, when all others are
// stored; Conflict when an ID has another label, and Invalid, when none is
// stored; Unsupported without a Log.
func (s *Server) Label(ctx context.Context, model string, labels []LabelInput) error {
	if err := s.label(ctx, model, labels); err != nil {
		return fmt.Errorf("serve: label %s: %w", model, err)
	}
	return nil
}

func (s *Server) label(ctx context.Context, model string, inputs []LabelInput) error {
	m, err := s.find(model)
	if err != nil {
		return err
	}
	if s.log == nil {
		return fault.Errorf(fault.Unsupported, "the server keeps no prediction log: give it one in Options.Log")
	}
	labels, err := s.checkLabels(m, inputs)
	if err != nil {
		return err
	}
	fresh, err := s.unlabelled(ctx, model, labels)
	if err != nil {
		return err
	}
	unknown, err := s.opts.Log.AppendLabels(ctx, labels)
	if err == nil && len(unknown) > 0 {
		// The predictions may be answered and not yet stored.
		if err = s.Flush(ctx); err == nil {
			fresh, err = s.unlabelledAgain(ctx, model, labels, unknown, fresh)
		}
		if err == nil {
			unknown, err = s.opts.Log.AppendLabels(ctx, only(labels, unknown))
		}
	}
	if err != nil {
		return err
	}
	s.observeLabels(labels, unknown, fresh)
	if len(unknown) > 0 {
		return fault.Errorf(fault.NotFound, "no prediction is logged under %s: check the ids; the other %d labels are stored",
			quoteAll(unknown), len(labels)-len(only(labels, unknown)))
	}
	return nil
}

// checkLabels stamps the labels and brings their values to the kind that the model predicts.
func (s *Server) checkLabels(m *served, inputs []LabelInput) ([]Label, error) {
	kind := frame.Null
	if t := m.current.Load(); t != nil && t.primary.shape.label >= 0 {
		shape := &t.primary.shape
		kind = kindOf(frame.Datatype(shape.signature.Outputs[shape.label].Datatype))
	}
	at := s.opts.Now()
	labels := make([]Label, len(inputs))
	var problems fault.Problems
	for i, in := range inputs {
		if in.ID == "" {
			problems.Addf("label %d has no id", i)
		}
		value, ok := convert(in.Value, kind)
		switch {
		case in.Value.IsNull():
			problems.Addf("label %d, of %q, has no value", i, in.ID)
		case !ok:
			problems.Addf("label %d, of %q: %q is %s, the model predicts %s", i, in.ID, in.Value.Text(), in.Value.Kind(), kind)
		}
		labels[i] = Label{ID: in.ID, Model: m.name, Value: value, Time: at}
	}
	return labels, problems.Err()
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

// unlabelled returns the answers to the labels' IDs that have no label yet:
// what the observer will be told of. Nil without an observer.
func (s *Server) unlabelled(ctx context.Context, model string, labels []Label) (map[string]frame.Value, error) {
	if s.opts.Observer == nil {
		return nil, nil
	}
	ids := make([]string, len(labels))
	for i, l := range labels {
		ids[i] = l.ID
	}
	found, err := s.opts.Log.Lookup(ctx, model, ids)
	if err != nil {
		return nil, err
	}
	outputs := map[string]frame.Value{}
	for _, p := range found {
		if p.Label.Seq == 0 && p.Variant != Shadow {
			outputs[p.Prediction.ID] = p.Output
		}
	}
	return outputs, nil
}

// unlabelledAgain adds what a flush has brought.
func (s *Server) unlabelledAgain(ctx context.Context, model string, labels []Label, unknown []string, fresh map[string]frame.Value) (map[string]frame.Value, error) {
	more, err := s.unlabelled(ctx, model, only(labels, unknown))
	for id, v := range more {
		fresh[id] = v
	}
	return fresh, err
}

// observeLabels tells the observer of each label that is new.
func (s *Server) observeLabels(labels []Label, unknown []string, fresh map[string]frame.Value) {
	if s.opts.Observer == nil {
		return
	}
	for _, id := range unknown {
		delete(fresh, id)
	}
	for _, l := range labels {
		if output, ok := fresh[l.ID]; ok {
			delete(fresh, l.ID) // once, however often it is in the batch
			s.opts.Observer.ObserveLabel(l.Time, l.ID, output, l.Value)
		}
	}
}

// only returns the labels of the given IDs.
func only(labels []Label, ids []string) []Label {
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var out []Label
	for _, l := range labels {
		if wanted[l.ID] {
			out = append(out, l)
		}
	}
	return out
}

// quoteAll writes ids for an error message, at most 20 of them.
func quoteAll(ids []string) string {
	shown := ids[:min(len(ids), 20)]
	text := fmt.Sprintf("%q", shown)
	text = strings.ReplaceAll(text[1:len(text)-1], `" "`, `", "`)
	if len(ids) > len(shown) {
		text += fmt.Sprintf(" and %d more", len(ids)-len(shown))
	}
	return text
}
