package drift_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// Once the memory of rows that were judged can be used again.
func TestObservingDoesNotAllocate(t *testing.T) {
	m, s := newMonitor(t, drift.Config{}, nil), newSource(3)
	row, label := answered(time.Time{}, s.row()), labelled(time.Time{}, frame.IntValue(1), frame.IntValue(0))
	row.ID, label.ID = "order", "order"
	show := func() {
		row.Index++
		m.Observe(row)
		m.Observe(label)
	}
	for range 2000 {
		show()
	}
	m.Check(time.Unix(1, 0))
	require.Zero(t, testing.AllocsPerRun(1000, show))
}

// Nanoseconds a row of four columns; the yardstick is appending each value to
// its column's slice.
func BenchmarkObserve(b *testing.B) {
	s := newSource(3)
	rows := make([]frame.Row, 1000)
	for i := range rows {
		rows[i] = s.row()
	}
	perRow := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/row")
	}
	b.Run("monitor", func(b *testing.B) {
		m := newMonitor(b, drift.Config{}, nil)
		for b.Loop() {
			for _, r := range rows {
				m.Observe(answered(time.Time{}, r))
			}
			m.Check(time.Time{})
		}
		perRow(b)
	})
	b.Run("monitor with checks and labels", func(b *testing.B) {
		m := newMonitor(b, drift.Config{}, nil)
		for b.Loop() {
			for _, r := range rows {
				m.Observe(answered(time.Time{}, r))
				observe(m, false)
				m.Check(time.Time{})
			}
		}
		perRow(b)
	})
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			columns := map[string][]frame.Value{}
			for _, r := range rows {
				for i, f := range r.Schema {
					columns[f.Name] = append(columns[f.Name], r.Values[i])
				}
			}
		}
		perRow(b)
	})
}

// One Observe of 1,000 columns: it copies numbers, and leaves bins to Check.
func BenchmarkObserveWide(b *testing.B) {
	wide := make(frame.Schema, 1000)
	for i := range wide {
		wide[i] = frame.Field{Name: fmt.Sprint("f", i), Kind: frame.Float64}
	}
	s, rows := newSource(3), make([]frame.Row, 400)
	for i := range rows {
		rows[i] = frame.Row{Schema: wide, Values: make([]frame.Value, len(wide))}
		for k := range wide {
			rows[i].Values[k] = frame.FloatValue(s.rng.NormFloat64())
		}
	}
	table, err := frame.FromRows(wide, rows)
	require.NoError(b, err)
	p, err := profile.New(table, nil, nil)
	require.NoError(b, err)
	m := newMonitor(b, drift.Config{Reference: p}, nil)
	i, judged := 0, time.Duration(0)
	for b.Loop() {
		m.Observe(answered(time.Time{}, rows[i%len(rows)]))
		if i++; i%1000 == 0 {
			start := time.Now()
			m.Check(time.Unix(1, 0))
			judged += time.Since(start)
		}
	}
	b.ReportMetric(float64(b.Elapsed()-judged)/float64(b.N), "ns/observe")
	b.ReportMetric(float64(judged)/float64(b.N), "ns/judge")
}
