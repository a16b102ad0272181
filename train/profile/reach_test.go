package profile_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// mixedRows are of every kind of bins, some of the numbers missing.
func mixedRows(n int) []frame.Row {
	rng := rand.New(rand.NewPCG(1, 1))
	schema := frame.Schema{{Name: "number", Kind: frame.Float64}, {Name: "few", Kind: frame.Int64}, {Name: "text", Kind: frame.String}, {Name: "none", Kind: frame.Float64}}
	rows := make([]frame.Row, n)
	for i := range rows {
		number := frame.FloatValue(rng.NormFloat64())
		if rng.IntN(4) == 0 {
			number = frame.Value{}
		}
		rows[i] = frame.Row{Schema: schema, Values: []frame.Value{number, frame.IntValue(int64(rng.IntN(3) * rng.IntN(2))), frame.StringValue(fmt.Sprint("t", rng.IntN(5))), {}}}
	}
	return rows
}

// No window reaches further than Reach says, and some window gets there.
func TestReachIsTheLargestValueOfAnyWindow(t *testing.T) {
	rng, rows := rand.New(rand.NewPCG(2, 1)), mixedRows(400)
	schema := rows[0].Schema
	table, err := frame.FromRows(schema, rows)
	require.NoError(t, err)
	p := newProfile(t, table, &profile.Options{Window: 50})
	largest := map[string]float64{}
	measure := func(next func() frame.Row) {
		w := p.NewWindow()
		for range 50 {
			w.Add(next())
		}
		findings, err := p.Compare(w)
		require.NoError(t, err)
		for _, f := range findings {
			key := f.Column + " " + f.Statistic
			largest[key] = max(largest[key], f.Value)
		}
	}
	for range 500 { // windows of one or two rows over and over
		a, b, share := rows[rng.IntN(400)], rows[rng.IntN(400)], rng.IntN(3)
		measure(func() frame.Row {
			if rng.IntN(5) < share {
				return a
			}
			return b
		})
	}
	for _, number := range []float64{-99, 99} {
		measure(func() frame.Row {
			return frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(number), frame.IntValue(99), frame.StringValue("new"), frame.FloatValue(1)}}
		})
	}
	measure(func() frame.Row { return frame.Row{} })
	for _, c := range p.Columns() {
		for _, law := range c.Calibrations {
			require.InEpsilon(t, largest[c.Name+" "+law.Statistic], c.Reach(law.Statistic, 50), 1e-9, "%s of %s", law.Statistic, c.Name)
		}
	}
	require.Zero(t, p.Columns()[3].Reach(profile.PSI, 50))
	require.Zero(t, p.Columns()[2].Reach(profile.KS, 50))
}
