package drift_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
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
