package retrain

import (
	"context"
	"io"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// scored is what a model said about a row whose label is known.
type scored struct {
	label  frame.Value
	scores []float64 // in the order of the model's classes
}

// asked is a model with its scores of rows whose labels are known.
type asked struct {
	predictor serve.Predictor
	classes   []frame.Value
	rows      []scored
}

// askAll loads a bundle and asks it about every row.
func (l *Loop) askAll(ctx context.Context, b *bundle.Bundle, rows *frame.Table) (asked, error) {
	p, err := l.load(b)
	if err != nil {
		return asked{}, err
	}
	a := asked{predictor: p}
	if a.classes, err = classesOf(p); err == nil {
		a.rows, err = scoreRows(ctx, p, a.classes, rows, l.config.Label)
	}
	if err != nil {
		closePredictor(p)
	}
	return a, err
}

// load makes a bundle's Predictor, by its flavor.
func (l *Loop) load(b *bundle.Bundle) (serve.Predictor, error) {
	flavor := b.Manifest().Flavor
	load := l.config.Flavors[flavor]
	if load == nil && flavor == train.ClassifierFlavor {
		load = serve.NewClassifier
	}
	if load == nil {
		return nil, fault.Errorf(fault.Unsupported, "no loader for flavor %q: add one to Config.Flavors", flavor)
	}
	var p serve.Predictor
	err := safely(func() (err error) {
		p, err = load(b)
		return err
	})
	return p, err
}

// closePredictor lets go of what a loader may have opened.
func closePredictor(p serve.Predictor) {
	if c, ok := p.(io.Closer); ok {
		_ = c.Close() // it was only asked
	}
}

// scoreRows asks a classifier about every row of the table. When it knows none
// of the labels, something is amiss, and the error is Invalid.
func scoreRows(ctx context.Context, p serve.Predictor, classes []frame.Value, t *frame.Table, label string) ([]scored, error) {
	labels, err := t.Values(label)
	if err != nil {
		return nil, err
	}
	probs, err := probabilities(ctx, p, t, len(classes))
	if err != nil {
		return nil, err
	}
	rows := make([]scored, len(labels))
	known := 0
	for i, v := range labels {
		rows[i] = scored{v, probs[i*len(classes) : (i+1)*len(classes)]}
		if classIndex(classes, v) >= 0 {
			known++
		}
	}
	if known == 0 && len(labels) > 0 {
		return nil, fault.Errorf(fault.Invalid, "none of the %d labels, such as %q, is a class of the model: check that column %q still holds what it was fitted on", len(labels), labels[0].Text(), label)
	}
	return rows, nil
}

// allClasses returns the champion's classes in their order, then what only the
// challenger knows: over them, models that know different classes are
// comparable. What neither knows, such as a label in error, is no class.
func allClasses(champion, challenger []frame.Value) []frame.Value {
	all := slices.Clone(champion)
	for _, v := range challenger {
		if classIndex(all, v) < 0 {
			all = append(all, v)
		}
	}
	return all
}

// scoresOfBoth lays both models' scores of the same rows out over the classes.
// Rows whose label is none of them are left out.
func scoresOfBoth(classes []frame.Value, champion, challenger asked) (a, b metric.Scores) {
	known := func(rows []scored) []scored {
		return slices.DeleteFunc(slices.Clone(rows), func(s scored) bool { return classIndex(classes, s.label) < 0 })
	}
	return scoresOver(classes, champion.classes, known(champion.rows)), scoresOver(classes, challenger.classes, known(challenger.rows))
}

// scoresOver lays a model's scores out over all classes, its own among them;
// what it does not know, it gives no probability. Every label is one of them.
func scoresOver(all, own []frame.Value, rows []scored) metric.Scores {
	s := metric.Scores{Classes: len(all), Labels: make([]int, len(rows)), Probabilities: make([]float64, len(rows)*len(all))}
	places := make([]int, len(own))
	for i, v := range own {
		places[i] = classIndex(all, v)
	}
	for i, r := range rows {
		s.Labels[i] = classIndex(all, r.label)
		for j, p := range r.scores {
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
