package retrain

import (
	"context"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// answer is what a model said about a row whose label is known.
type answer struct {
	label  frame.Value
	scores []float64 // in the order of the model's classes
}

// answersOf asks a classifier about every row of the table. Labels that it does
// not know are wrong answers; when it knows none, something is amiss, and the
// error is Invalid.
func answersOf(ctx context.Context, p serve.Predictor, classes []frame.Value, t *frame.Table, label string) ([]answer, error) {
	labels, err := t.Values(label)
	if err != nil {
		return nil, err
	}
	probs, err := probabilities(ctx, p, t, len(classes))
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(labels))
	known := 0
	for i, v := range labels {
		answers[i] = answer{v, probs[i*len(classes) : (i+1)*len(classes)]}
		if classIndex(classes, v) >= 0 {
			known++
		}
	}
	if known == 0 && len(labels) > 0 {
		return nil, fault.Errorf(fault.Invalid, "none of the %d labels, such as %q, is a class of the model: check that column %q still holds what it was fitted on", len(labels), labels[0].Text(), label)
	}
	return answers, nil
}

// allClasses returns the champion's classes in their order, then what only the
// challenger knows, then what only labels have: over them, models that know
// different classes are comparable.
func allClasses(champion, challenger []frame.Value, answers []answer) []frame.Value {
	all := slices.Clone(champion)
	add := func(v frame.Value) {
		if classIndex(all, v) < 0 {
			all = append(all, v)
		}
	}
	for _, v := range challenger {
		add(v)
	}
	for _, a := range answers {
		add(a.label)
	}
	return all
}

// scoresOver lays a model's answers out over all classes, its own among them;
// what it does not know, it gives no probability.
func scoresOver(all, own []frame.Value, answers []answer) metric.Scores {
	s := metric.Scores{Classes: len(all), Labels: make([]int, len(answers)), Probabilities: make([]float64, len(answers)*len(all))}
	places := make([]int, len(own))
	for i, v := range own {
		places[i] = classIndex(all, v)
	}
	for i, a := range answers {
		s.Labels[i] = classIndex(all, a.label)
		for j, p := range a.scores {
			s.Probabilities[i*len(all)+places[j]] = p
		}
	}
	return s
}

func classesOf(p serve.Predictor) ([]frame.Value, error) {
	c, ok := p.(serve.Classifier)
	if !ok {
		return nil, fault.Errorf(fault.Unsupported, "a %T is no serve.Classifier: give it a Classes method, the loop compares classifiers", p)
	}
	return c.Classes(), nil
}

// classIndex returns the place of v among the classes, -1 when it is none.
func classIndex(classes []frame.Value, v frame.Value) int {
	return slices.IndexFunc(classes, func(c frame.Value) bool { return sameClass(c, v) })
}

// sameClass reports whether both stand for one class: databases do not tell 1
// from true.
func sameClass(a, b frame.Value) bool {
	return a == b || (isClassNumber(a) && isClassNumber(b) && a.Float() == b.Float())
}

func isClassNumber(v frame.Value) bool {
	return v.Kind() == frame.Int64 || v.Kind() == frame.Bool || v.Kind() == frame.Float64
}

// probabilities asks p about the table's rows; columns that the signature does
// not name are left out. The result is rows × k, row-major.
func probabilities(ctx context.Context, p serve.Predictor, t *frame.Table, k int) ([]float64, error) {
	var names []string
	for _, in := range p.Signature().Inputs {
		names = append(names, in.Name)
	}
	inputs, err := t.Select(names...)
	if err != nil {
		return nil, err
	}
	rows := make([]frame.Row, inputs.NumRows())
	for i := range rows {
		rows[i] = inputs.Row(i)
	}
	tensors, err := frame.TensorsFromRows(inputs.Schema(), rows)
	if err != nil {
		return nil, err
	}
	outputs, err := p.Predict(ctx, tensors)
	if err != nil {
		return nil, err
	}
	for _, o := range outputs {
		if probs, ok := o.Data.([]float64); ok && o.Name == serve.ProbabilityOutput && len(probs) == len(rows)*k {
			return probs, nil
		}
	}
	return nil, fault.Errorf(fault.Invalid, "the model gave no %q output of %d × %d FP64", serve.ProbabilityOutput, len(rows), k)
}
