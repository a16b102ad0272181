package drift_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
)

var drift0 frame.Value

func TestObservingDoesNotAllocate(t *testing.T) {
	m, s := newMonitor(t, drift.Config{}, nil), newSource(3)
	row := s.row()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		m.ObservePrediction(time.Time{}, "", row, drift0, nil)
		observe(m, false)
	}))
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
				m.ObservePrediction(time.Time{}, "", r, drift0, nil)
			}
		}
		perRow(b)
	})
	b.Run("monitor with checks and labels", func(b *testing.B) {
		m := newMonitor(b, drift.Config{}, nil)
		for b.Loop() {
			for _, r := range rows {
				m.ObservePrediction(time.Time{}, "", r, drift0, nil)
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
