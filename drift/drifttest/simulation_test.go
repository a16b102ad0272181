package drifttest_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/drifttest"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

var streams = flag.Int("drift.streams", 4, "number of SEA streams in each simulation")

const (
	referenceRows = 4_000
	streamRows    = 40_000
	changeAt      = 20_000
)

// replay watches a SEA stream by a monitor with default options, whose model
// is the rule before the change, and returns the row and the alert at which
// the first one fires; -1 without any.
func replay(t testing.TB, seed uint64, o drifttest.SEAOptions, rows int) (int, drift.Alert) {
	o.ChangeAt += referenceRows
	o.ShiftAt += referenceRows
	stream, schema := drifttest.NewSEA(seed, &o), drifttest.SEASchema()
	reference := make([]frame.Row, referenceRows)
	for i := range reference {
		reference[i], _ = stream.Next(schema)
	}
	table, err := frame.FromRows(schema, reference)
	require.NoError(t, err)
	p, err := profile.New(table, nil, nil)
	require.NoError(t, err)
	m, err := drift.New(drift.Config{Model: "sea", Version: 1, Reference: p}, nil)
	require.NoError(t, err)
	now := time.UnixMilli(0)
	for i := range rows {
		row, label := stream.Next(schema)
		now = now.Add(time.Second)
		output := frame.IntValue(drifttest.SEALabel(row.Values[0].Float(), row.Values[1].Float(), o.Theta))
		m.ObservePrediction(now, "", row, output, nil)
		m.ObserveLabel(now, "", output, label)
		for _, a := range m.Check(now) {
			return i, a
		}
	}
	return -1, drift.Alert{}
}

func TestStreamsWithoutDriftRaiseNoAlert(t *testing.T) {
	alarmed := map[string]int{}
	total := 0
	for seed := range *streams {
		if row, a := replay(t, uint64(seed), drifttest.SEAOptions{Theta: 8}, streamRows); row >= 0 {
			alarmed[a.Source+" "+a.Columns[0].Statistic]++
			total++
		}
	}
	t.Logf("%d of %d streams of %d rows raise an alert: %v", total, *streams, streamRows, alarmed)
	require.LessOrEqual(t, total, *streams/20)
}

func TestAbruptChangesAreCaught(t *testing.T) {
	for _, c := range []struct{ from, to float64 }{{8, 9}, {8, 9.5}, {9, 7}, {7, 9.5}} {
		t.Run(fmt.Sprintf("theta %g to %g", c.from, c.to), func(t *testing.T) {
			caught, early, delays := 0, 0, 0
			by := map[string]int{}
			for seed := range *streams {
				row, a := replay(t, 1_000_000+uint64(seed), drifttest.SEAOptions{Theta: c.from, NewTheta: c.to, ChangeAt: changeAt}, changeAt+1000)
				switch {
				case row >= changeAt:
					caught++
					delays += row - changeAt
					by[a.Source+" "+a.Columns[0].Statistic]++
				case row >= 0:
					t.Log(seed, row, a.Source, a.Columns)
					early++
				}
			}
			t.Logf("%d of %d caught within 1,000 rows, %d too early, mean delay %d rows %v", caught, *streams, early, delays/max(caught, 1), by)
		})
	}
}
