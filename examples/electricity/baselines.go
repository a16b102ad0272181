package main

import (
	"context"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

// fortnightRows is how often the densest calendar refits.
const fortnightRows = 14 * rowsPerDay

// yesterday says of each row what came true 48 rows before it: at most what a
// person without a model knows.
func yesterday(m *market, end int) []bool {
	hits := make([]bool, 0, end-m.history)
	for row := m.history; row < end; row++ {
		hits = append(hits, m.labels[row] == m.labels[row-labelDelay])
	}
	return hits
}

// calendar answers the rows from the end of the history to end with a first model and
// then one refitted at each of the given rows, on the latest labelled window,
// without gates, shadow or canary: what a cron job does.
func calendar(ctx context.Context, m *market, seed uint64, end int, refits []int) ([]bool, error) {
	b, err := fitOn(ctx, m, 0, m.history, seed)
	if err != nil {
		return nil, err
	}
	var hits []bool
	from := m.history
	for i, refit := range append(refits[:len(refits):len(refits)], end) {
		right, err := answers(ctx, b, m, from, refit)
		if err != nil {
			return nil, err
		}
		hits = append(hits, right...)
		if from = refit; refit == end {
			break
		}
		known := refit - labelDelay // labels of the rows before it have come
		if b, err = fitOn(ctx, m, known-windowRows, known, seed+uint64(i)+1); err != nil {
			return nil, err
		}
	}
	return hits, nil
}

// evenly returns n rows that cut the replay into n+1 equal parts.
func (m *market) evenly(n, end int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = m.history + (end-m.history)*(i+1)/(n+1)
	}
	return rows
}

// everyFortnight returns the refits of the densest calendar.
func (m *market) everyFortnight(end int) []int {
	var rows []int
	for row := m.history + fortnightRows; row < end; row += fortnightRows {
		rows = append(rows, row)
	}
	return rows
}

// fitOn fits the loop's own kind of model on the rows [from, to).
func fitOn(ctx context.Context, m *market, from, to int, seed uint64) (*bundle.Bundle, error) {
	rows, err := m.table.Slice(from, to).Select(append(inputs[:len(inputs):len(inputs)], labelColumn)...)
	if err != nil {
		return nil, err
	}
	return trainer().Fit(ctx, train.Job{
		Data: rows, Label: labelColumn, Inputs: inputs, Features: features(), Seed: seed, Now: rowTime(to), ProfileWindow: monitorRows,
	})
}

// answers asks a model about the rows [from, to) and says which answers came true.
func answers(ctx context.Context, b *bundle.Bundle, m *market, from, to int) ([]bool, error) {
	if from == to {
		return nil, nil
	}
	p, err := serve.NewClassifier(b)
	if err != nil {
		return nil, err
	}
	rows := make([]frame.Row, 0, to-from)
	columns, err := m.table.Slice(from, to).Select(inputs...)
	if err != nil {
		return nil, err
	}
	for _, row := range columns.Rows(0, columns.NumRows()) {
		rows = append(rows, row)
	}
	tensors, err := frame.TensorsFromRows(columns.Schema(), rows)
	if err != nil {
		return nil, err
	}
	outputs, err := p.Predict(ctx, tensors)
	if err != nil {
		return nil, err
	}
	hits := make([]bool, to-from)
	for _, o := range outputs {
		if labels, ok := o.Data.([]int64); ok && o.Name == serve.LabelOutput {
			for i := range hits {
				hits[i] = labels[i] == m.labels[from+i].Int()
			}
		}
	}
	return hits, nil
}
