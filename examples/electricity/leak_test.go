package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

// The target is "price above the mean of the 48 prices before": a lag, a
// rolling mean or a label among the inputs would give it away and hide all
// drift. These tests fail on any of them.

func TestModelSeesItsOwnRowAlone(t *testing.T) {
	m, err := loadMarket()
	require.NoError(t, err)
	const row = 30000
	want := request(row, m.table.Row(row))
	for _, other := range []int{row - 48, row - 1, row + 1} {
		scrambled := scramble(t, m.table, other)
		require.Equal(t, string(want), string(request(row, scrambled.Row(row))), "the request about row %d depends on row %d", row, other)
	}
	require.NotEqual(t, string(want), string(request(row, scramble(t, m.table, row).Row(row))), "the request depends on its own row")
}

// scramble returns the table with all values of one row changed, the label too.
func scramble(t *testing.T, table *frame.Table, row int) *frame.Table {
	t.Helper()
	for _, f := range table.Schema() {
		values, err := table.Values(f.Name)
		require.NoError(t, err)
		switch f.Kind {
		case frame.Float64:
			values[row] = frame.FloatValue(values[row].Float() + 0.5)
		case frame.Int64:
			values[row] = frame.IntValue(1 - values[row].Int())
		}
		if table, err = table.Drop(f.Name); err == nil {
			table, err = table.WithColumn(f, values)
		}
		require.NoError(t, err)
	}
	return table
}

func TestInputsAreTheSixColumns(t *testing.T) {
	require.Equal(t, []string{"feat_1", "feat_2", "feat_3", "feat_4", "feat_5", "feat_6"}, inputs)
	m, err := loadMarket()
	require.NoError(t, err)
	b := fitFew(t, m)
	var names []string
	for _, in := range b.Signature().Inputs {
		names = append(names, in.Name)
		require.Equal(t, []int64{-1}, in.Shape, "one value a row")
	}
	require.Equal(t, inputs, names)
}

func fitFew(t *testing.T, m *market) *bundle.Bundle {
	t.Helper()
	rows, err := m.table.Slice(0, 1500).Select(append(inputs[:6:6], labelColumn)...)
	require.NoError(t, err)
	b, err := trainer().Fit(t.Context(), train.Job{Data: rows, Label: labelColumn, Inputs: inputs, Features: features(), Seed: 1, Now: rowTime(1500)})
	require.NoError(t, err)
	return b
}

// TestAnswersDoNotDependOnNeighbours asks about a row alone and among others,
// in order and in reverse: a model with a memory would answer differently.
func TestAnswersDoNotDependOnNeighbours(t *testing.T) {
	m, err := loadMarket()
	require.NoError(t, err)
	p, err := serve.NewClassifier(fitFew(t, m))
	require.NoError(t, err)
	columns, err := m.table.Slice(2000, 2010).Select(inputs...)
	require.NoError(t, err)
	rows := make([]frame.Row, 10)
	for i := range rows {
		rows[i] = columns.Row(i)
	}
	probabilities := func(rows ...frame.Row) []float64 {
		tensors, err := frame.TensorsFromRows(columns.Schema(), rows)
		require.NoError(t, err)
		out, err := p.Predict(t.Context(), tensors)
		require.NoError(t, err)
		return out[1].Data.([]float64)
	}
	together := probabilities(rows...)
	for i := len(rows) - 1; i >= 0; i-- {
		alone := probabilities(rows[i])
		require.InDeltaSlice(t, together[2*i:2*i+2], alone, 1e-6)
	}
}

// TestSourceKnowsNoLabelBeforeItArrives looks at what the loop may learn from
// at a time of the stream.
func TestSourceKnowsNoLabelBeforeItArrives(t *testing.T) {
	m, err := loadMarket()
	require.NoError(t, err)
	now := rowTime(20000)
	table, err := latestWindow(m).Rows(t.Context(), now)
	require.NoError(t, err)
	newest := table.Row(table.NumRows() - 1).Get(timeColumn).Int()
	require.Equal(t, rowTime(20000-labelDelay-1).UnixMilli(), newest)
}
