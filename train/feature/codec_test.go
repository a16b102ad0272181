package feature_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// version1 is stored data of the first release; it is read by all later ones.
const version1 = `{
  "format": "mlloop.feature",
  "version": 1,
  "columns": [
    {
      "name": "x",
      "kind": "float64",
      "steps": [
        {
          "op": "impute",
          "fill": "2.5"
        },
        {
          "op": "standardize",
          "mean": 2,
          "std": 0.5
        }
      ]
    },
    {
      "name": "plan",
      "kind": "string",
      "steps": [
        {
          "op": "impute",
          "fill": "b"
        },
        {
          "op": "one_hot",
          "categories": [
            "",
            "b"
          ]
        }
      ]
    },
    {
      "name": "month",
      "kind": "int64",
      "steps": [
        {
          "op": "one_hot",
          "categories": [
            "-9007199254740993",
            "7"
          ]
        }
      ]
    },
    {
      "name": "up",
      "kind": "bool"
    }
  ]
}
`

func TestFirstVersionIsRead(t *testing.T) {
	f, err := feature.Decode([]byte(version1))
	require.NoError(t, err)
	require.Equal(t, []string{"x", "plan=", "plan=b", "month=-9007199254740993", "month=7", "up"}, f.Names())
	dst := make([]float32, f.Width())
	err = f.TransformRow(dst, frame.Row{Schema: f.Inputs(), Values: []frame.Value{
		{}, {}, frame.IntValue(-9007199254740993), frame.BoolValue(true)}})
	require.NoError(t, err)
	require.Equal(t, []float32{1, 0, 1, 1, 0, 1}, dst)
	again, err := f.Marshal()
	require.NoError(t, err)
	require.Equal(t, version1, string(again), "and written as it was")
}

type badPipeline struct {
	why, text string
	kind      error
}

func badPipelines() []badPipeline {
	column := func(c string) string { return `{"format":"mlloop.feature","version":1,"columns":[` + c + `]}` }
	step := func(kind, s string) string { return column(`{"name":"x","kind":"` + kind + `","steps":[` + s + `]}`) }
	return []badPipeline{
		{"nothing", ``, feature.ErrCorrupt},
		{"another format", `{"format":"pmml","version":1,"columns":[]}`, feature.ErrCorrupt},
		{"a newer version, whatever is in it", `{"format":"mlloop.feature","version":2,"graph":{}}`, feature.ErrUnsupported},
		{"version 0", `{"format":"mlloop.feature","version":0,"columns":[{"name":"x","kind":"bool"}]}`, feature.ErrCorrupt},
		{"a cut-off file", version1[:len(version1)-10], feature.ErrCorrupt},
		{"text after the end", version1 + "{}", feature.ErrCorrupt},
		{"an unknown member", `{"format":"mlloop.feature","version":1,"columns":[],"more":1}`, feature.ErrCorrupt},
		{"no columns", column(``), feature.ErrCorrupt},
		{"a repeated column", column(`{"name":"x","kind":"bool"},{"name":"x","kind":"bool"}`), feature.ErrCorrupt},
		{"an unknown kind", column(`{"name":"x","kind":"decimal"}`), feature.ErrCorrupt},
		{"text not encoded", column(`{"name":"x","kind":"string"}`), feature.ErrCorrupt},
		{"an unknown step", step("float64", `{"op":"log"}`), feature.ErrCorrupt},
		{"impute without a fill", step("float64", `{"op":"impute"}`), feature.ErrCorrupt},
		{"impute with NaN", step("float64", `{"op":"impute","fill":"NaN"}`), feature.ErrCorrupt},
		{"impute with nothing", step("float64", `{"op":"impute","fill":""}`), feature.ErrCorrupt},
		{"impute with text", step("float64", `{"op":"impute","fill":"x"}`), feature.ErrCorrupt},
		{"impute with a mean", step("float64", `{"op":"impute","fill":"1","mean":1}`), feature.ErrCorrupt},
		{"standardize without a mean", step("float64", `{"op":"standardize","std":1}`), feature.ErrCorrupt},
		{"standardize by zero", step("float64", `{"op":"standardize","mean":1,"std":0}`), feature.ErrCorrupt},
		{"standardize by a negative", step("float64", `{"op":"standardize","mean":1,"std":-1}`), feature.ErrCorrupt},
		{"one_hot in the middle", step("int64", `{"op":"one_hot","categories":["1"]},{"op":"impute","fill":"1"}`), feature.ErrCorrupt},
		{"one_hot of floats", step("float64", `{"op":"one_hot","categories":["1"]}`), feature.ErrCorrupt},
		{"no categories", step("int64", `{"op":"one_hot"}`), feature.ErrCorrupt},
		{"categories out of order", step("int64", `{"op":"one_hot","categories":["2","1"]}`), feature.ErrCorrupt},
		{"a repeated category", step("string", `{"op":"one_hot","categories":["a","a"]}`), feature.ErrCorrupt},
		{"a category of another kind", step("int64", `{"op":"one_hot","categories":["a"]}`), feature.ErrCorrupt},
		{"a null category", step("int64", `{"op":"one_hot","categories":[""]}`), feature.ErrCorrupt},
		{"a fill that is no category", step("string", `{"op":"impute","fill":"b"},{"op":"one_hot","categories":["a"]}`), feature.ErrCorrupt},
		{"standardized text", step("string", `{"op":"standardize","mean":1,"std":1},{"op":"one_hot","categories":["a"]}`), feature.ErrCorrupt},
		{"three steps of text", step("string", `{"op":"impute","fill":"a"},{"op":"impute","fill":"a"},{"op":"one_hot","categories":["a"]}`), feature.ErrCorrupt},
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range badPipelines() {
		t.Run(c.why, func(t *testing.T) {
			_, err := feature.Decode([]byte(c.text))
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, "feature: decode: ")
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(version1))
	b, err := fit(f, mixedPipeline, table(f, mixed, mixedRows(rand.New(rand.NewPCG(1, 1)), 50, 3)), mixedInputs...).Marshal()
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		fitted, err := feature.Decode(b)
		if err != nil {
			return
		}
		first, err := fitted.Marshal()
		require.NoError(t, err)
		again, err := feature.Decode(first)
		require.NoError(t, err)
		second, err := again.Marshal()
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))

		dst := make([]float32, fitted.Width())
		_ = fitted.TransformRow(dst, frame.Row{Schema: fitted.Inputs(), Values: make([]frame.Value, len(fitted.Inputs()))})
	})
}
