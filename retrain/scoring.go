package retrain

import (
	"context"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// scoreTable asks a classifier about every row of the table and pairs the
// answers with the labels. A label that the classifier does not know is an
// Invalid error: no metric is defined for it.
func scoreTable(ctx context.Context, p serve.Predictor, t *frame.Table, label string) (metric.Scores, error) {
	classes, err := classesOf(p)
	if err != nil {
		return metric.Scores{}, err
	}
	values, err := t.Values(label)
	if err != nil {
		return metric.Scores{}, err
	}
	scores := metric.Scores{Classes: len(classes), Labels: make([]int, len(values))}
	for i, v := range values {
		if scores.Labels[i] = classIndex(classes, v); scores.Labels[i] < 0 {
			return metric.Scores{}, fault.Errorf(fault.Invalid, "row %d: label %q is none of the model's classes", i+1, v.Text())
		}
	}
	scores.Probabilities, err = probabilities(ctx, p, t, len(classes))
	return scores, err
}

func classesOf(p serve.Predictor) ([]frame.Value, error) {
	c, ok := p.(serve.Classifier)
	if !ok {
		return nil, fault.Errorf(fault.Unsupported, "a %T is no serve.Classifier: the loop compares classifiers", p)
	}
	return c.Classes(), nil
}

func classIndex(classes []frame.Value, v frame.Value) int {
	for i, c := range classes {
		if c == v {
			return i
		}
	}
	return -1
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
	return nil, fmt.Errorf("the model gave no %q output of %d × %d FP64: %w", serve.ProbabilityOutput, len(rows), k, fault.Invalid)
}
