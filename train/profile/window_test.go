package profile_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// sixColumns is a table of 6 numeric columns, and its rows.
func sixColumns(t testing.TB, n int) (*frame.Table, []frame.Row) {
	rng := rand.New(rand.NewPCG(1, 9))
	var schema frame.Schema
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		schema = append(schema, frame.Field{Name: name, Kind: frame.Float64})
	}
	rows := make([]frame.Row, n)
	for i := range rows {
		rows[i].Schema = schema
		for range schema {
			rows[i].Values = append(rows[i].Values, frame.FloatValue(rng.NormFloat64()))
		}
	}
	table, err := frame.FromRows(schema, rows)
	require.NoError(t, err)
	return table, rows
}

func counts(w *profile.Window, columns int) [][]int64 {
	var out [][]int64
	for i := range columns {
		out = append(out, w.Counts(i))
	}
	return out
}

func TestWindowIsWhatWasAddedLessWhatWasRemoved(t *testing.T) {
	table, rows := sixColumns(t, 500)
	p := newProfile(t, table, nil)
	rng := rand.New(rand.NewPCG(2, 2))
	w, in := p.NewWindow(), []int(nil)
	for range 2000 {
		if len(in) > 0 && rng.IntN(2) == 0 {
			at := rng.IntN(len(in))
			require.NoError(t, w.Remove(rows[in[at]]))
			in[at] = in[len(in)-1]
			in = in[:len(in)-1]
			continue
		}
		i := rng.IntN(len(rows))
		w.Add(rows[i])
		in = append(in, i)
	}
	// The same rows, added in two halves that are merged.
	left, right := p.NewWindow(), p.NewWindow()
	for k, i := range in {
		half := []*profile.Window{left, right}[k%2]
		require.NoError(t, half.AddBins(p.Bins(nil, rows[i])))
	}
	require.NoError(t, left.Merge(right))
	require.Equal(t, len(in), w.Rows())
	require.Equal(t, w.Rows(), left.Rows())
	require.Equal(t, counts(w, 6), counts(left, 6))
}

func TestWindowRefusesWhatDoesNotFit(t *testing.T) {
	p := newProfile(t, floats(t, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), nil)
	other := newProfile(t, floats(t, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10), nil)
	w := p.NewWindow()
	for name, err := range map[string]error{
		"a row that is not there": w.Remove(row(3)),
		"too many bins":           w.AddBins([]uint16{1, 2}),
		"a bin that is not there": w.AddBins([]uint16{99}),
		"another profile":         w.Merge(other.NewWindow()),
	} {
		require.ErrorIs(t, err, fault.Invalid, name)
		require.Zero(t, w.Rows(), name)
	}
	_, err := p.Compare(w)
	require.ErrorContains(t, err, "window is empty")
	_, err = p.Compare(other.NewWindow())
	require.ErrorContains(t, err, "another profile")
}

func TestRowsInAnotherOrderAndWithOtherColumns(t *testing.T) {
	table, rows := sixColumns(t, 100)
	p := newProfile(t, table, nil)
	r := rows[7]
	mixed := frame.Row{
		Schema: frame.Schema{r.Schema[5], {Name: "other", Kind: frame.String}, r.Schema[0], r.Schema[1], r.Schema[3], r.Schema[2]},
		Values: []frame.Value{r.Values[5], frame.StringValue("x"), r.Values[0], r.Values[1], r.Values[3], r.Values[2]},
	}
	want, got := p.Bins(nil, r), p.Bins(nil, mixed)
	require.Equal(t, append(want[:4:4], want[5]), append(got[:4:4], got[5]))
	require.Equal(t, uint16(len(p.Columns()[4].Counts)-2), got[4], "a column that the row lacks is missing")
}

// The yardstick is appending each value to its column's slice, what keeping the rows would take.
func BenchmarkWindowAdd(b *testing.B) {
	table, rows := sixColumns(b, 10_000)
	p := newProfile(b, table, nil)
	b.Run("profile", func(b *testing.B) {
		w := p.NewWindow()
		for b.Loop() {
			for _, r := range rows {
				w.Add(r)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/row")
	})
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			columns := map[string][]float64{}
			for _, r := range rows {
				for i, f := range r.Schema {
					columns[f.Name] = append(columns[f.Name], r.Values[i].Float())
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/row")
	})
}

func BenchmarkCompare(b *testing.B) {
	table, rows := sixColumns(b, 10_000)
	p := newProfile(b, table, nil)
	w := p.NewWindow()
	for _, r := range rows[:500] {
		w.Add(r)
	}
	for b.Loop() {
		_, _ = p.Compare(w)
	}
}

func BenchmarkNew(b *testing.B) {
	table, _ := sixColumns(b, 100_000)
	for b.Loop() {
		newProfile(b, table, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/600_000, "ns/value")
}
