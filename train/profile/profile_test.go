package profile_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/driftstat"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// floats makes a one-column table.
func floats(t testing.TB, xs ...float64) *frame.Table {
	t.Helper()
	rows := make([]frame.Row, len(xs))
	for i, x := range xs {
		rows[i] = frame.Row{Values: []frame.Value{frame.FloatValue(x)}}
	}
	table, err := frame.FromRows(frame.Schema{{Name: "x", Kind: frame.Float64}}, rows)
	require.NoError(t, err)
	return table
}

func texts(t testing.TB, xs ...string) *frame.Table {
	t.Helper()
	rows := make([]frame.Row, len(xs))
	for i, x := range xs {
		rows[i] = frame.Row{Values: []frame.Value{frame.StringValue(x)}}
	}
	table, err := frame.FromRows(frame.Schema{{Name: "x", Kind: frame.String}}, rows)
	require.NoError(t, err)
	return table
}

func newProfile(t testing.TB, table *frame.Table, opts *profile.Options) *profile.Profile {
	t.Helper()
	p, err := profile.New(table, nil, opts)
	require.NoError(t, err)
	return p
}

func row(x float64) frame.Row {
	return frame.Row{Schema: frame.Schema{{Name: "x", Kind: frame.Float64}}, Values: []frame.Value{frame.FloatValue(x)}}
}

func find(t testing.TB, findings []profile.Finding, statistic string) profile.Finding {
	t.Helper()
	for _, f := range findings {
		if f.Statistic == statistic {
			return f
		}
	}
	require.Fail(t, "no finding", statistic)
	return profile.Finding{}
}

// numpy: v = round(sqrt(1..200)*10)/4 has heavy ties.
func TestSummaryAgreesWithNumpy(t *testing.T) {
	var v []float64
	for i := 1.0; i <= 200; i++ {
		v = append(v, math.RoundToEven(math.Sqrt(i)*10)/4)
	}
	c := newProfile(t, floats(t, v...), nil).Columns()[0]
	require.InDelta(t, 23.645, c.Mean, 1e-12)
	require.InDelta(t, 8.278864656461053, c.Std, 1e-12)
	require.Equal(t, []float64{2.5, 35.25}, []float64{c.Min, v[198]})
	require.InDelta(t, 4.2425, c.Edges[0], 1e-12) // numpy.quantile(v, 0.01)

	var coarse []float64 // the edges at which the PSI bin changes
	for i, e := range c.Edges {
		if c.Groups[i+1] != c.Groups[i] {
			coarse = append(coarse, e)
		}
	}
	want := []float64{11.475, 15.95, 19.425, 22.4, 25, 27.5, 29.575, 31.55, 33.525} // numpy.quantile(v, 0.1 … 0.9)
	require.InDeltaSlice(t, want, coarse, 1e-12)
}

func TestBinsOfEveryKindOfColumn(t *testing.T) {
	inf := math.Inf(1)
	many := make([]float64, 100)
	for i := range many {
		many[i] = float64(i)
	}
	for name, c := range map[string]struct {
		table  *frame.Table
		value  frame.Value
		same   frame.Value // falls in the same bin
		differ frame.Value // does not
		why    string
	}{
		"open lower end": {floats(t, many...), frame.FloatValue(-1e308), frame.FloatValue(0.5), frame.FloatValue(1.5), "values below the smallest belong to the first bin"},
		"open upper end": {floats(t, many...), frame.FloatValue(1e308), frame.FloatValue(98.5), frame.FloatValue(97.5), "values above the largest belong to the last bin"},
		"closed above":   {floats(t, many...), frame.FloatValue(c50), frame.FloatValue(c50 - 0.1), frame.FloatValue(c50 + 0.1), "an edge belongs to the bin below it"},
		"constant":       {floats(t, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3), frame.FloatValue(4), frame.FloatValue(-9), frame.FloatValue(3), "everything but the constant is unseen"},
		"few values":     {floats(t, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2), frame.FloatValue(1.5), frame.FloatValue(7), frame.FloatValue(1), "a value between two seen ones is unseen"},
		"all missing":    {floats(t, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan), frame.FloatValue(1), frame.FloatValue(2), frame.Value{}, "any value is unseen"},
		"NaN":            {floats(t, many...), frame.FloatValue(nan), frame.Value{}, frame.FloatValue(0), "NaN is missing"},
		"infinite":       {floats(t, many...), frame.FloatValue(inf), frame.FloatValue(-inf), frame.FloatValue(nan), "±Inf has a bin of its own"},
		"wrong kind":     {floats(t, many...), frame.StringValue("12"), frame.Value{}, frame.FloatValue(12), "a text in a numeric column is missing"},
		"integer":        {floats(t, many...), frame.IntValue(12), frame.FloatValue(12), frame.FloatValue(13), "an integer in a float column counts as its number"},
		"new category":   {texts(t, "a", "b", "a", "b", "a", "b", "a", "b", "a", "b"), frame.StringValue("z"), frame.StringValue("y"), frame.StringValue("a"), "unseen texts share a bin"},
		"empty text":     {texts(t, "a", "b", "a", "b", "a", "b", "a", "b", "a", "b"), frame.StringValue(""), frame.StringValue("z"), frame.Value{}, "an empty text is a text"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProfile(t, c.table, nil)
			bin := func(v frame.Value) []uint16 {
				return p.Bins(nil, frame.Row{Schema: frame.Schema{{Name: "x"}}, Values: []frame.Value{v}})
			}
			require.Equal(t, bin(c.value), bin(c.same), c.why)
			require.NotEqual(t, bin(c.value), bin(c.differ), c.why)
			require.NoError(t, p.CheckBins(bin(c.value)))
		})
	}
}

const c50 = 49.5 // the median of 0 … 99

var nan = math.NaN()

// A row's bins in two steps; numbers that are none of Numbers' are missing.
func TestBinsOfNumbers(t *testing.T) {
	schema := frame.Schema{{Name: "x", Kind: frame.Float64}, {Name: "plan", Kind: frame.String}}
	var rows []frame.Row
	for i := range 20 {
		rows = append(rows, frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(float64(i)), frame.StringValue([]string{"a", "b"}[i%2])}})
	}
	table, err := frame.FromRows(schema, rows)
	require.NoError(t, err)
	p := newProfile(t, table, &profile.Options{Window: 5})
	rows = append(rows, frame.Row{}, frame.Row{Schema: schema[1:], Values: []frame.Value{frame.StringValue("z")}})
	for _, r := range rows {
		require.Equal(t, p.Bins(nil, r), p.BinsOf(nil, p.Numbers(nil, r)))
	}
	missing := p.Bins(nil, frame.Row{})
	require.Equal(t, missing, p.BinsOf(nil, nil))
	require.Equal(t, missing, p.BinsOf(nil, []float64{math.NaN(), -1}))
	require.Equal(t, missing, p.BinsOf(nil, []float64{math.NaN(), 1e9}))
}

func TestRareCategoriesShareTheBinOfTheUnseen(t *testing.T) {
	p := newProfile(t, texts(t, "b", "a", "a", "c", "b", "a", "d", "a", "b", "a"), &profile.Options{Categories: 2})
	c := p.Columns()[0]
	require.Equal(t, []string{"a", "b"}, c.Categories)
	require.Equal(t, []int64{5, 3, 2, 0, 0}, c.Counts)
}

func TestFindingsAgreeWithTheGeneralStatistics(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ref, cur := make([]float64, 2000), make([]float64, 300)
	for i := range ref {
		ref[i] = rng.NormFloat64()
	}
	p := newProfile(t, floats(t, ref...), &profile.Options{Window: 300})
	w := p.NewWindow()
	for i := range cur {
		cur[i] = rng.NormFloat64()*1.1 + 0.3
		if i%10 == 0 {
			cur[i] = nan
		}
		w.Add(row(cur[i]))
	}
	findings, err := p.Compare(w)
	require.NoError(t, err)

	c := p.Columns()[0]
	group := func(counts []int64) []int64 {
		out := make([]int64, 10)
		for i, g := range c.Groups {
			out[g] += counts[i]
		}
		return out
	}
	psi, err := driftstat.PSI(group(c.Counts), group(w.Counts(0)), driftstat.Laplace)
	require.NoError(t, err)
	require.InDelta(t, psi, find(t, findings, profile.PSI).Value, 1e-12)
	exact, err := driftstat.KS(ref, cur)
	require.NoError(t, err)
	require.InDelta(t, exact.D, find(t, findings, profile.KS).Value, 0.01, "a hundred bins miss little of D")
	require.InDelta(t, 0.1, find(t, findings, profile.Missing).Value, 1e-12)
}

// scipy.stats.f.sf
func TestPValuesAgreeWithScipy(t *testing.T) {
	for _, c := range []struct{ x, a, b, want float64 }{
		{1, 9, 90, 0.4460352484199933}, {5, 9, 90, 1.8551238295443818e-05}, {20, 9, 90, 5.300444143385762e-18},
		{7.5, 1, 12.3, 0.017633745315196164}, {300, 5, 40, 1.3861021061816695e-30}, {2.5, 2.7, 13, 0.10945859340484007},
	} {
		law := profile.Calibration{Statistic: profile.PSI, Mean: 0.02, DF: c.a, Windows: c.b / c.a}
		require.InEpsilon(t, c.want, law.PValue(0.02*c.x), 1e-9)
		require.InEpsilon(t, 0.02*c.x, law.Threshold(c.want), 1e-9, "the threshold undoes the p-value")
		law.Statistic = profile.KS
		require.InEpsilon(t, c.want, law.PValue(math.Sqrt(0.02*c.x)), 1e-9)
		require.InEpsilon(t, math.Sqrt(0.02*c.x), law.Threshold(c.want), 1e-9)
	}
}

func TestBadInputNamesEveryProblem(t *testing.T) {
	table := floats(t, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	_, err := profile.New(table, []string{"y", "x", "x"}, &profile.Options{Window: 6, Bins: 1, Categories: -1})
	require.ErrorIs(t, err, fault.Invalid)
	for _, want := range []string{`no column "y"`, `"x" is named twice`, "10 rows are not enough", "1 bins", "-1 categories"} {
		require.ErrorContains(t, err, want)
	}
	_, err = profile.New(floats(t, 1, 2), nil, nil)
	require.ErrorContains(t, err, "not enough data")
}

// Windows of the same process are flagged at about the nominal rate, whether
// its rows are independent or strongly correlated.
func TestCalibratedPValuesHoldTheirLevel(t *testing.T) {
	const references, windows, window, level = 40, 20, 100, 0.01
	for name, keep := range map[string]float64{"independent": 0, "correlated": 0.9} {
		rng := rand.New(rand.NewPCG(11, 12))
		x := 0.0
		next := func() float64 {
			x = keep*x + math.Sqrt(1-keep*keep)*rng.NormFloat64()
			return x
		}
		flagged, textbook := map[string]int{}, 0
		for range references {
			ref := make([]float64, 3000)
			for i := range ref {
				ref[i] = next()
			}
			p := newProfile(t, floats(t, ref...), &profile.Options{Window: window})
			for range windows {
				w := p.NewWindow()
				for range window {
					w.Add(row(next()))
				}
				findings, err := p.Compare(w)
				require.NoError(t, err)
				for _, f := range findings {
					if f.PValue() <= level {
						flagged[f.Statistic]++
					}
				}
				if driftstat.KSLimit(find(t, findings, profile.KS).Value, len(ref), window) <= level {
					textbook++
				}
			}
		}
		rate := func(n int) float64 { return float64(n) / (references * windows) }
		t.Logf("%s rows: psi %.3f, ks %.3f, textbook ks %.3f", name, rate(flagged[profile.PSI]), rate(flagged[profile.KS]), rate(textbook))
		require.Less(t, rate(flagged[profile.PSI]), 3*level, name)
		require.Less(t, rate(flagged[profile.KS]), 3*level, name)
		if keep > 0 {
			require.Greater(t, rate(textbook), 20*level, "or the case shows nothing")
		}
	}
}

func TestASeasonInTheReferenceRaisesTheThreshold(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	flat, season := make([]float64, 4000), make([]float64, 4000)
	for i := range flat {
		flat[i] = rng.NormFloat64()
		season[i] = rng.NormFloat64() + 2*math.Sin(2*math.Pi*float64(i)/1000)
	}
	law := func(xs []float64) profile.Calibration {
		p := newProfile(t, floats(t, xs...), &profile.Options{Window: 200})
		return p.Columns()[0].Calibrations[1]
	}
	require.Greater(t, law(season).Threshold(0.001), 5*law(flat).Threshold(0.001))
}

func ExampleNew() {
	rows := make([]frame.Row, 1000)
	schema := frame.Schema{{Name: "age", Kind: frame.Int64}, {Name: "plan", Kind: frame.String}}
	for i := range rows {
		rows[i] = frame.Row{Values: []frame.Value{frame.IntValue(int64(20 + i*7%50)), frame.StringValue("basic")}}
	}
	customers, _ := frame.FromRows(schema, rows)
	reference, err := profile.New(customers, []string{"age", "plan"}, &profile.Options{Window: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	window := reference.NewWindow()
	for i := range 100 {
		window.Add(frame.Row{Schema: schema, Values: []frame.Value{frame.IntValue(int64(20 + i%50)), frame.StringValue("premium")}})
	}
	findings, err := reference.Compare(window)
	for _, f := range findings {
		if f.PValue() < 0.001 {
			fmt.Printf("%s: %s %.1f\n", f.Column, f.Statistic, f.Value)
		}
	}
	fmt.Println(err)
	// Output:
	// plan: psi 12.8
	// <nil>
}
