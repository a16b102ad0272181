package feature_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

type goldenColumn struct {
	Name        string
	Kind        frame.Kind
	Values      []any
	Fill        any
	Mean, Std   float64
	Categories  []string
	Transformed [][]float64
}

// stored is the JSON of a fitted pipeline, as far as the tests look into it.
type stored struct {
	Columns []struct {
		Name  string
		Steps []struct {
			Op         feature.Op
			Fill       string
			Mean, Std  float64
			Categories []string
		}
	}
}

func value(t testing.TB, kind frame.Kind, v any) frame.Value {
	switch v := v.(type) {
	case nil:
		return frame.Value{}
	case string:
		return frame.StringValue(v)
	case float64:
		if kind == frame.Int64 {
			return frame.IntValue(int64(v))
		}
		return frame.FloatValue(v)
	}
	t.Fatalf("%v", v)
	return frame.Value{}
}

// TestAgainstScikitLearn compares with what SimpleImputer, StandardScaler and
// OneHotEncoder learn from the same rows and make of later ones.
func TestAgainstScikitLearn(t *testing.T) {
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var golden struct {
		Train   int
		Columns []goldenColumn
	}
	require.NoError(t, json.Unmarshal(b, &golden))

	var schema frame.Schema
	var inputs []string
	rows := make([]frame.Row, len(golden.Columns[0].Values))
	for _, c := range golden.Columns {
		schema = append(schema, frame.Field{Name: c.Name, Kind: c.Kind})
		inputs = append(inputs, c.Name)
		for i, v := range c.Values {
			rows[i].Values = append(rows[i].Values, value(t, c.Kind, v))
		}
	}
	table, err := frame.FromRows(schema, rows)
	require.NoError(t, err)

	p := feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("region", "month")}
	fitted, err := p.Fit(table.Slice(0, golden.Train), inputs)
	require.NoError(t, err)
	matrix, err := fitted.Transform(table)
	require.NoError(t, err)
	require.Equal(t, table.NumRows(), matrix.Rows)

	requireTransformed(t, golden.Columns, fitted, matrix)
	requireLearned(t, golden.Columns, fitted)
}

func requireTransformed(t *testing.T, columns []goldenColumn, fitted *feature.Fitted, matrix frame.Matrix) {
	t.Helper()
	at := 0
	for _, c := range columns {
		width := len(c.Transformed[0])
		for i, want := range c.Transformed {
			for j, v := range want {
				got := float64(matrix.Row(i)[at+j])
				require.InDelta(t, v, got, 2e-7*max(1, math.Abs(v)), "column %q, row %d", c.Name, i)
			}
		}
		at += width
	}
	require.Equal(t, fitted.Width(), at)
}

func requireLearned(t *testing.T, columns []goldenColumn, fitted *feature.Fitted) {
	t.Helper()
	b, err := fitted.Marshal()
	require.NoError(t, err)
	var learned stored
	require.NoError(t, json.Unmarshal(b, &learned))
	for i, c := range columns {
		steps := learned.Columns[i].Steps
		if c.Categories != nil {
			require.Equal(t, c.Fill, steps[0].Fill)
			require.Equal(t, c.Categories, steps[1].Categories)
			continue
		}
		fill, err := frame.ParseValue(frame.Float64, steps[0].Fill)
		require.NoError(t, err)
		require.InEpsilon(t, c.Fill, fill.Float(), 1e-12, c.Name)
		require.InEpsilon(t, c.Mean, steps[1].Mean, 1e-12, c.Name)
		require.InEpsilon(t, c.Std, steps[1].Std, 1e-9, c.Name)
	}
}
