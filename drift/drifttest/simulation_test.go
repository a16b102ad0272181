package drifttest_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/drifttest"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// The promise is about 200 streams: go test ./drift/drifttest -drift.streams=200 -v
var streams = flag.Int("drift.streams", 4, "number of SEA streams in each simulation")

const (
	referenceRows = 4_000
	streamRows    = 40_000
	changeAt      = 20_000
)

// watch shows a monitor with default options the rows of a stream, as a loop
// does: all that came since its last step at once, and then a look. It returns
// the first alert and the row at which it fired; -1 without any. next gives the
// observations of a row.
func watch(t testing.TB, seed uint64, reference []frame.Row, rows int, next func() []frame.Observation) (int, drift.Alert) {
	table, err := frame.FromRows(reference[0].Schema, reference)
	require.NoError(t, err)
	p, err := profile.New(table, nil, nil)
	require.NoError(t, err)
	m, err := drift.New(drift.Config{Model: "m", Version: 1, Reference: p}, nil)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(seed, 0xb0b))
	for i := 0; i < rows; {
		for range min(1+rng.IntN(5000), rows-i) { // a step's rows
			for _, o := range next() {
				o.Model, o.Version, o.Status, o.Time = "m", 1, frame.Answered, time.UnixMilli(int64(i))
				m.Observe(o)
			}
			i++
		}
		for _, a := range m.Check(time.UnixMilli(int64(i))) {
			return int(a.FiredAt.UnixMilli()), a
		}
	}
	require.Zero(t, m.Counts().Dropped)
	return -1, drift.Alert{}
}

// replay watches a SEA stream whose model is the rule before the change.
// Labels come at once, or not at all.
func replay(t testing.TB, seed uint64, o drifttest.SEAOptions, rows int, labels bool) (int, drift.Alert) {
	o.ChangeAt += referenceRows
	o.ShiftAt += referenceRows
	stream, schema := drifttest.NewSEA(seed, &o), drifttest.SEASchema()
	reference := make([]frame.Row, referenceRows)
	for i := range reference {
		reference[i], _ = stream.Next(schema)
	}
	outputs := frame.Schema{{Name: "label", Kind: frame.Int64}}
	return watch(t, seed, reference, rows, func() []frame.Observation {
		row, label := stream.Next(schema)
		output := frame.IntValue(drifttest.SEALabel(row.Values[0].Float(), row.Values[1].Float(), o.Theta))
		answer := frame.Observation{Row: row, Outputs: frame.Row{Schema: outputs, Values: []frame.Value{output}}}
		if !labels {
			return []frame.Observation{answer}
		}
		return []frame.Observation{answer, {Outputs: answer.Outputs, Label: label}}
	})
}

func TestStreamsWithoutDriftRaiseNoAlert(t *testing.T) {
	by := map[string]int{}
	total := 0
	for seed := range *streams {
		if row, a := replay(t, uint64(seed), drifttest.SEAOptions{Theta: 8}, streamRows, true); row >= 0 {
			by[a.Source+" "+a.Columns[0].Statistic]++
			total++
		}
	}
	t.Logf("%d of %d streams of %d rows raise an alert %v", total, *streams, streamRows, by)
	require.LessOrEqual(t, total, *streams/20)
}

// The change is abrupt, from one of the rules of Street and Kim to another;
// an alert before it counts as not caught.
func TestAbruptChangesAreCaught(t *testing.T) {
	for _, c := range []struct{ from, to, least float64 }{
		{8, 9.5, 0.95}, {9, 7, 0.95}, {7, 9.5, 0.95},
		// From 10 % errors to 17 %: even the best test for just this change that
		// false-alarms in 5 % of the streams needs 1,000 rows in about 1 of 20.
		{8, 9, 0.9},
	} {
		t.Run(fmt.Sprintf("theta %g to %g", c.from, c.to), func(t *testing.T) {
			var delays []int
			early := 0
			for seed := range *streams {
				o := drifttest.SEAOptions{Theta: c.from, NewTheta: c.to, ChangeAt: changeAt}
				switch row, _ := replay(t, 1_000_000+uint64(seed), o, changeAt+1000, true); {
				case row >= changeAt:
					delays = append(delays, row-changeAt)
				case row >= 0:
					early++
				}
			}
			slices.Sort(delays)
			t.Logf("%d of %d caught within 1,000 rows, %d too early; delay: median %d, 95 %% %d rows",
				len(delays), *streams, early, quantile(delays, 0.5), quantile(delays, 0.95))
			require.GreaterOrEqual(t, float64(len(delays)), c.least*float64(*streams))
		})
	}
}

// How soon a shift of one of the inputs is seen, without labels.
func TestShiftsOfAnInputAreCaught(t *testing.T) {
	for _, c := range []struct{ shift, least float64 }{{1, 0.95}, {1.5, 0.95}, {2, 1}, {3, 1}, {5, 1}} {
		t.Run(fmt.Sprintf("%g of a range of 10", c.shift), func(t *testing.T) {
			var delays []int
			for seed := range *streams {
				o := drifttest.SEAOptions{Shift: c.shift, ShiftAt: 2000}
				if row, a := replay(t, 2_000_000+uint64(seed), o, 4000, false); row >= 2000 {
					require.Equal(t, []string{"attrib1"}, a.ColumnNames())
					delays = append(delays, row-2000)
				}
			}
			slices.Sort(delays)
			t.Logf("%d of %d caught within 2,000 rows; delay: median %d, 95 %% %d rows",
				len(delays), *streams, quantile(delays, 0.5), quantile(delays, 0.95))
			require.GreaterOrEqual(t, float64(len(delays)), c.least*float64(*streams))
		})
	}
}

// quantile of sorted values; -1 without any.
func quantile(sorted []int, q float64) int {
	if len(sorted) == 0 {
		return -1
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// Rows that depend on the rows before them, or on the season, are no drift as
// long as the reference has seen it.
func TestCorrelatedRowsRaiseNoAlert(t *testing.T) {
	for name, next := range map[string]func(rng *rand.Rand) func() float64{
		"each row keeps 80 % of the one before": keeping(0.8),
		"each row keeps 95 % of the one before": keeping(0.95),
		"each row keeps 98 % of the one before": keeping(0.98),
		"two seasons in the reference": func(rng *rand.Rand) func() float64 {
			i, phase := 0.0, rng.Float64()
			return func() float64 {
				i++
				return 2*math.Sin(2*math.Pi*(phase+i/2000)) + rng.NormFloat64()
			}
		},
	} {
		alarmed := 0
		for seed := range *streams {
			value, schema := next(rand.New(rand.NewPCG(uint64(seed), 7))), frame.Schema{{Name: "x", Kind: frame.Float64}}
			row := func() frame.Row { return frame.Row{Schema: schema, Values: []frame.Value{frame.FloatValue(value())}} }
			if raisesAlert(t, uint64(seed), row) {
				alarmed++
			}
		}
		t.Logf("%s: %d of %d streams raise an alert", name, alarmed, *streams)
		assert.LessOrEqual(t, alarmed, *streams/20, name)
	}
}

// keeping is an autoregressive process of order one.
func keeping(share float64) func(rng *rand.Rand) func() float64 {
	return func(rng *rand.Rand) func() float64 {
		x := 0.0
		return func() float64 {
			x = share*x + rng.NormFloat64()
			return x
		}
	}
}

// raisesAlert watches a stream that goes on as its reference.
func raisesAlert(t testing.TB, seed uint64, row func() frame.Row) bool {
	reference := make([]frame.Row, referenceRows)
	for i := range reference {
		reference[i] = row()
	}
	at, _ := watch(t, seed, reference, streamRows, func() []frame.Observation { return []frame.Observation{{Row: row()}} })
	return at >= 0
}
