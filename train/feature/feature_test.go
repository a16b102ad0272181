package feature_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

func read(t testing.TB, text string) *frame.Table {
	table, err := frame.ReadCSV(strings.NewReader(text), nil)
	require.NoError(t, err)
	return table
}

func field(name string, kind frame.Kind) frame.Field { return frame.Field{Name: name, Kind: kind} }

// mixed has a column of each kind, and two to be one-hot encoded.
var mixed = frame.Schema{field("x", frame.Float64), field("n", frame.Int64), field("up", frame.Bool), field("at", frame.Time),
	field("plan", frame.String), field("month", frame.Int64), field("paid", frame.Bool)}

var (
	mixedInputs   = []string{"plan", "x", "at", "month", "n", "up", "paid"} // not in the table's order
	mixedPipeline = feature.Pipeline{feature.Impute(), feature.Standardize(), feature.Standardize("at"), feature.OneHot("plan", "month", "paid")}
)

// mixedRows draws rows, now and then with a missing value.
func mixedRows(rng *rand.Rand, n, categories int) []frame.Row {
	rows := make([]frame.Row, n)
	for i := range rows {
		v := []frame.Value{
			frame.FloatValue(rng.NormFloat64() * math.Pow(10, float64(rng.IntN(9)-4))),
			frame.IntValue(int64(rng.IntN(2000) - 1000)),
			frame.BoolValue(rng.IntN(3) == 0),
			frame.TimeValue(1.7e12 + rng.Int64N(1e10)),
			frame.StringValue(string(rune('a' + rng.IntN(categories)))),
			frame.IntValue(int64(rng.IntN(categories))),
			frame.BoolValue(rng.IntN(2) == 0),
		}
		for c := range v {
			if rng.IntN(6) == 0 {
				v[c] = frame.Value{}
			}
		}
		if rng.IntN(10) == 0 {
			v[0] = frame.FloatValue(math.NaN()) // missing, too
		}
		rows[i] = frame.Row{Schema: mixed, Values: v}
	}
	return rows
}

func table(t testing.TB, schema frame.Schema, rows []frame.Row) *frame.Table {
	out, err := frame.FromRows(schema, rows)
	require.NoError(t, err)
	return out
}

func fit(t testing.TB, p feature.Pipeline, data *frame.Table, inputs ...string) *feature.Fitted {
	f, err := p.Fit(data, inputs)
	require.NoError(t, err)
	return f
}

func bits(x []float32) []uint32 {
	out := make([]uint32, len(x))
	for i, v := range x {
		out[i] = math.Float32bits(v)
	}
	return out
}

// Training and serving go different ways through the code. They must not
// differ in a single bit, nor after the pipeline has been stored.
func TestServingGivesTheBitsOfTraining(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 40 {
		fitted := fit(t, mixedPipeline, table(t, mixed, mixedRows(rng, 30+rng.IntN(100), 4)), mixedInputs...)
		b, err := fitted.Marshal()
		require.NoError(t, err)
		loaded, err := feature.Decode(b)
		require.NoError(t, err)
		require.Equal(t, fitted.Names(), loaded.Names())
		require.Equal(t, fitted.Inputs(), loaded.Inputs())

		rows := mixedRows(rng, 50, 6) // two categories more than in training
		later := table(t, mixed, rows)
		want, err := fitted.Transform(later)
		require.NoError(t, err)
		require.Equal(t, fitted.Width(), want.Cols)

		got, err := loaded.TransformRows(rows)
		require.NoError(t, err)
		require.Equal(t, bits(want.Data), bits(got.Data))

		narrow, err := later.Select(mixedInputs...) // columns in the pipeline's own order
		require.NoError(t, err)
		cut, err := frame.Concat(narrow.Slice(0, 7), narrow.Slice(7, 50)) // other batches
		require.NoError(t, err)
		got, err = loaded.Transform(cut)
		require.NoError(t, err)
		require.Equal(t, bits(want.Data), bits(got.Data))

		dst := slices.Repeat([]float32{float32(math.NaN())}, fitted.Width()) // stale numbers must not show through
		for i, r := range cut.Rows(0, 50) {
			require.NoError(t, loaded.TransformRow(dst, r))
			require.Equal(t, bits(want.Row(i)), bits(dst))
		}
	}
}

func TestTransformRowAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	rows := mixedRows(rng, 100, 4)
	fitted := fit(t, mixedPipeline, table(t, mixed, rows), mixedInputs...)
	dst := make([]float32, fitted.Width())
	for _, r := range rows[:10] {
		require.Zero(t, testing.AllocsPerRun(20, func() {
			if err := fitted.TransformRow(dst, r); err != nil {
				t.Error(err)
			}
		}))
	}
}

// What later rows hold never reaches a pipeline that was fitted on earlier ones.
func TestNoLeakageFromLaterRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	past := mixedRows(rng, 80, 4)
	var want []byte
	for range 10 {
		later := mixedRows(rng, 200, 9)
		whole := table(t, mixed, append(slices.Clone(past), later...))
		train, _, err := whole.SplitAt(len(past))
		require.NoError(t, err)
		got, err := fit(t, mixedPipeline, train, mixedInputs...).Marshal()
		require.NoError(t, err)
		if want == nil {
			want = got
		}
		require.Equal(t, string(want), string(got))
	}
	// The order of the training rows changes sums by rounding at most, and
	// their number of batches not at all.
	first, second := table(t, mixed, past[:33]), table(t, mixed, past[33:])
	both, err := frame.Concat(first, second)
	require.NoError(t, err)
	got, err := fit(t, mixedPipeline, both, mixedInputs...).Marshal()
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestWhatColumnsBecome(t *testing.T) {
	data := read(t, "age,plan,up,month,x\n1,b,true,1,0.5\n3,a,false,,0.5\n5,b,true,10,0.5\n,,,1,0.5\n")
	f := fit(t, feature.Pipeline{feature.Impute(), feature.Standardize("age"), feature.OneHot("plan", "month")}, data, "x", "plan", "age", "up", "month")
	require.Equal(t, []string{"x", "plan=a", "plan=b", "age", "up", "month=1", "month=10"}, f.Names())
	require.Equal(t, 7, f.Width())
	require.Equal(t, frame.Schema{field("x", frame.Float64), field("plan", frame.String), field("age", frame.Int64), field("up", frame.Bool), field("month", frame.Int64)}, f.Inputs())
	m, err := f.Transform(data)
	require.NoError(t, err)
	s := float32(2 / math.Sqrt2) // of 1 3 5 3: mean 3, deviation √2
	require.Equal(t, []float32{
		0.5, 0, 1, -s, 1, 1, 0,
		0.5, 1, 0, 0, 0, 1, 0,
		0.5, 0, 1, s, 1, 0, 1,
		0.5, 0, 1, 0, 1, 1, 0,
	}, m.Data)

	other, err := f.TransformRows([]frame.Row{{Schema: f.Inputs(), Values: []frame.Value{
		frame.IntValue(2), frame.StringValue("never seen"), frame.IntValue(3), frame.BoolValue(false), frame.IntValue(7)}}})
	require.NoError(t, err)
	require.Equal(t, []float32{2, 0, 0, 0, 0, 0, 0}, other.Data, "unknown categories are all zeros, and a whole number does for a float")
}

func TestStepsWorkInTheirOrder(t *testing.T) {
	data := read(t, "x\n1\n\"\"\n3\n8\n")
	first := fit(t, feature.Pipeline{feature.Impute(), feature.Standardize()}, data, "x")
	after := fit(t, feature.Pipeline{feature.Standardize(), feature.Impute()}, data, "x")
	a, err := first.Transform(data)
	require.NoError(t, err)
	b, err := after.Transform(data)
	require.NoError(t, err)
	// Of 1 3 3 8 the mean is 3.75; of 1 3 8 it is 4, and the median of the rest lies 1 below it.
	require.InDelta(t, (3-3.75)/math.Sqrt((2.75*2.75+0.75*0.75*2+4.25*4.25)/4), float64(a.Data[1]), 1e-6)
	require.InDelta(t, -1/math.Sqrt(26.0/3), float64(b.Data[1]), 1e-6)

	none := fit(t, nil, read(t, "x,up\n1.5,true\n"), "x", "up")
	m, err := none.Transform(read(t, "up,x\nfalse,2.5\n"))
	require.NoError(t, err)
	require.Equal(t, []float32{2.5, 0}, m.Data, "without steps numbers pass through")
}

func TestMostFrequentIsTheSmallestOfEqual(t *testing.T) {
	data := read(t, "s,b,n\nz,true,7\na,false,\nz,,5\na,,\n,,\n")
	f := fit(t, feature.Pipeline{feature.Impute(), feature.OneHot("s", "n")}, data, "s", "b", "n")
	m, err := f.Transform(data.Slice(4, 5))
	require.NoError(t, err)
	require.Equal(t, []float32{1, 0, 0, 1, 0}, m.Data) // s=a, b false, n=5
}

func TestFitTellsEverythingThatIsWrong(t *testing.T) {
	data := read(t, "x,s,at,n,empty\n1.5,a,1996-05-07,1,\n,b,1996-05-08,2,\n+Inf,b,1996-05-09,3,\n")
	for _, c := range []struct {
		why    string
		p      feature.Pipeline
		data   *frame.Table
		inputs []string
		want   string
	}{
		{"no table, no inputs", nil, nil, nil, "the table has no rows to learn from; no inputs are named"},
		{"no rows", nil, data.Slice(0, 0), []string{"n"}, "the table has no rows to learn from"},
		{"inputs missing and repeated", nil, data, []string{"n", "n", "z"}, `input "n" is named twice; the table has no column "z"`},
		{"steps for what is no input", feature.Pipeline{feature.Impute("x"), feature.OneHot("s")}, data, []string{"n"},
			`impute: column "x" is not among the inputs; one_hot: column "s" is not among the inputs`},
		{"one_hot of nothing, and an unknown step", feature.Pipeline{feature.OneHot(), {Op: "hash"}}, data, []string{"n"},
			`one_hot: name its columns; unknown step "hash"`},
		{"text and time that nothing handles", feature.Pipeline{feature.Impute(), feature.Standardize()}, data, []string{"s", "at"},
			`column "s" is text: encode it with OneHot("s"), or leave it out of the inputs; ` +
				`column "at" is a time: leave it out of the inputs, or name it in Standardize("at")`},
		{"steps for the wrong kinds", feature.Pipeline{feature.Standardize("s"), feature.OneHot("s", "x", "at")}, data, []string{"s", "x", "at"},
			`standardize: column "s" is not a number to scale: it is one-hot encoded; one_hot: column "x" is float64; make it a String or an Int64 first; ` +
				`one_hot: column "at" is time; make it a String or an Int64 first`},
		{"steps after one_hot", feature.Pipeline{feature.OneHot("s"), feature.Impute()}, data, []string{"s"},
			`impute: column "s" is one-hot encoded before; put impute first`},
		{"infinite and missing values", nil, data, []string{"x", "empty", "n"},
			`column "x": row 2 is infinite; column "empty": row 0 is missing; add feature.Impute()`},
		{"nothing to learn from", feature.Pipeline{feature.Impute()}, data, []string{"empty"}, `column "empty": every row is missing; leave it out of the inputs`},
		{"missing categories", feature.Pipeline{feature.OneHot("s")}, read(t, "s,x\na,1\n,2\n"), []string{"s"}, `column "s": row 1 is missing; add feature.Impute()`},
		{"no categories", feature.Pipeline{feature.OneHot("s")}, table(t, frame.Schema{field("s", frame.String)}, []frame.Row{{Values: make([]frame.Value, 1)}}), []string{"s"},
			`column "s": every row is missing; leave it out of the inputs`},
		{"numbers beyond standardizing", feature.Pipeline{feature.Standardize()}, read(t, "x\n1e308\n-1e308\n1.7e308\n"), []string{"x"},
			`column "x": its values are too large to standardize`},
	} {
		t.Run(c.why, func(t *testing.T) {
			_, err := c.p.Fit(c.data, c.inputs)
			require.ErrorIs(t, err, feature.ErrInvalid)
			require.EqualError(t, err, "feature: fit: "+c.want)
		})
	}
}

// Check tells without data what Fit would tell with any.
func TestCheck(t *testing.T) {
	for want, p := range map[string]feature.Pipeline{
		`one_hot: name its columns; unknown step "hash"`: {feature.OneHot(), {Op: "hash"}},
		`impute: column "s" is one-hot encoded before; put impute first; standardize: column "s" is not a number to scale: it is one-hot encoded`: {
			feature.OneHot("s"), feature.Impute(), feature.Standardize("s")},
		`one_hot: column "s" is one-hot encoded before; put one_hot first`:         {feature.OneHot("s"), feature.OneHot("s")},
		`impute: column "x" is named twice; standardize: a column's name is empty`: {feature.Impute("x", "x"), feature.Standardize("")},
	} {
		err := p.Check()
		require.ErrorIs(t, err, feature.ErrInvalid)
		require.EqualError(t, err, "feature: "+want)
		_, err = p.Fit(read(t, "s,x\na,1\nb,2\n"), []string{"s", "x"})
		require.ErrorIs(t, err, feature.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, feature.Pipeline(nil).Check())
	require.NoError(t, feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("s", "t"), feature.Standardize("x")}.Check())
}

func TestFitRefusesTooManyCategories(t *testing.T) {
	ids := make([]frame.Row, feature.MaxCategories+1)
	for i := range ids {
		ids[i].Values = []frame.Value{frame.IntValue(int64(i))}
	}
	_, err := feature.Pipeline{feature.OneHot("id")}.Fit(table(t, frame.Schema{field("id", frame.Int64)}, ids), []string{"id"})
	require.EqualError(t, err, `feature: fit: column "id": more than 10000 different values to one-hot encode; leave it out of the inputs, or group its values`)
}

func TestTransformTellsEverythingThatIsWrong(t *testing.T) {
	p := feature.Pipeline{feature.OneHot("s")}
	f := fit(t, p, read(t, "x,s,n\n1.5,a,1\n2.5,b,2\n"), "x", "s", "n")
	schema := f.Inputs()
	row := func(x, s, n frame.Value) frame.Row {
		return frame.Row{Schema: schema, Values: []frame.Value{x, s, n}}
	}
	x, s, n := frame.FloatValue(1), frame.StringValue("a"), frame.IntValue(1)
	missing := "is missing; fit the pipeline with feature.Impute() to have it filled"
	for _, c := range []struct {
		why  string
		row  frame.Row
		want string
	}{
		{"nulls", row(frame.Value{}, frame.Value{}, n), `column "x" ` + missing + `; column "s" ` + missing},
		{"NaN", row(frame.FloatValue(math.NaN()), s, n), `column "x" ` + missing},
		{"infinite", row(frame.FloatValue(math.Inf(-1)), s, n), `column "x" is infinite`},
		{"too large", row(frame.FloatValue(1e300), s, n), `column "x": 1e+300 is too large for a float32`},
		{"other kinds", row(frame.StringValue(strings.Repeat("1", 80)), frame.IntValue(1), frame.FloatValue(1)),
			`column "x": value "` + strings.Repeat("1", 60) + `…" is string, want float64; read or convert it as such; ` +
				`column "s": value "1" is int64, want string; read or convert it as such; ` +
				`column "n": value "1" is float64, want int64; read or convert it as such`},
	} {
		t.Run(c.why, func(t *testing.T) {
			dst := make([]float32, f.Width())
			err := f.TransformRow(dst, c.row)
			require.ErrorIs(t, err, feature.ErrInvalid)
			require.EqualError(t, err, "feature: transform: "+c.want)
			_, err = f.TransformRows([]frame.Row{row(x, s, n), c.row})
			require.EqualError(t, err, "feature: transform: row 1: "+c.want)
			if c.why == "other kinds" {
				return // no table holds such a row
			}
			_, err = f.Transform(table(t, schema, []frame.Row{row(x, s, n), c.row}))
			require.EqualError(t, err, "feature: transform: row 1: "+strings.ReplaceAll(c.want, "; column", "; row 1: column"))
		})
	}
}

func TestTransformTellsWhichColumnsAreWrong(t *testing.T) {
	f := fit(t, feature.Pipeline{feature.OneHot("s")}, read(t, "x,s,n\n1.5,a,1\n2.5,b,2\n"), "x", "s", "n")
	schema, x := f.Inputs(), frame.FloatValue(1)
	_, err := f.Transform(read(t, "x,y\n1.5,2\n"))
	require.EqualError(t, err, `feature: transform: no column "s" (string); no column "n" (int64)`)
	err = f.TransformRow(make([]float32, f.Width()), frame.Row{Schema: schema[:1], Values: []frame.Value{x}})
	require.EqualError(t, err, `feature: transform: no column "s" (string); no column "n" (int64)`)
	whole := frame.Row{Schema: schema, Values: []frame.Value{x, frame.StringValue("a"), frame.IntValue(1)}}
	err = f.TransformRow(make([]float32, 1), whole)
	require.EqualError(t, err, "feature: transform: room for 1 numbers, want 4")
	err = f.TransformRow(make([]float32, 4), frame.Row{Schema: schema, Values: []frame.Value{x}})
	require.EqualError(t, err, "feature: transform: the row has 1 values for 3 columns")

	empty, err := f.Transform(table(t, schema, nil))
	require.NoError(t, err)
	require.Equal(t, frame.Matrix{Rows: 0, Cols: 4, Data: []float32{}}, empty)
}
