package drift

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/drift/driftstat"
	"github.com/mlloop/mlloop/train/profile"
)

// inputWatch holds the latest rows as the bins they fall in.
type inputWatch struct {
	blind     []Unwatched // by column, see blindTo; nil before it is asked for
	reference *profile.Profile
	window    *profile.Window
	ring      [][]uint16 // bins of the window's rows
	next      int        // oldest row of the ring, the next to be replaced
	since     int        // rows since the last comparison
	history   []uint64   // by column: bit i says whether it drifted i comparisons ago
	arrived   []bool     // by column: whether a row had a value or an infinity in it
	rows      int64      // folded so far
}

func newInputWatch(reference *profile.Profile) inputWatch {
	w := inputWatch{reference: reference}
	w.fill(reference.Tail())
	w.history = make([]uint64, len(reference.Columns()))
	w.arrived = make([]bool, len(reference.Columns()))
	return w
}

// fill replaces the window by the rows, oldest first, whose bins are checked.
func (w *inputWatch) fill(rows [][]uint16) {
	w.window, w.next = w.reference.NewWindow(), 0
	w.ring = make([][]uint16, len(rows))
	for i, bins := range rows {
		w.ring[i] = slices.Clone(bins)
		_ = w.window.AddBins(bins)
	}
}

// fold puts a row, as the reference's numbers, in the place of the window's oldest.
func (w *inputWatch) fold(numbers []float64) {
	slot := w.ring[w.next]
	// The ring holds what the window counts: neither call can fail.
	_ = w.window.RemoveBins(slot)
	slot = w.reference.BinsOf(slot[:0], numbers)
	_ = w.window.AddBins(slot)
	w.ring[w.next] = slot
	if w.next++; w.next == len(w.ring) {
		w.next = 0
	}
	for i, c := range w.reference.Columns() {
		if !w.arrived[i] {
			w.arrived[i] = int(slot[i]) != len(c.Counts)-2 // the bin of missing values
		}
	}
	w.since++
	w.rows++
}

// columnState is what a comparison found of one column.
type columnState struct {
	worst   ColumnFinding // of the statistics that drift
	excess  float64       // worst.Value / worst.Threshold
	drifts  bool
	nowhere bool // no statistic is anywhere near drift
}

// quietFactor is how far above α a p-value has to be for a statistic to be quiet.
const quietFactor = 10

// compare judges the window, column by column.
func (w *inputWatch) compare(o Options) []columnState {
	findings, err := w.reference.Compare(w.window)
	if err != nil { // the window is the reference's and never empty
		return nil
	}
	p := make([]float64, len(findings))
	for i, f := range findings {
		p[i] = 1
		if f.Value >= o.floor(f.Statistic) {
			p[i] = min(f.PValue(), 1)
		}
	}
	adjusted, err := driftstat.Adjust(p, driftstat.BenjaminiHochberg)
	if err != nil { // p-values are in 0..1
		return nil
	}
	alpha, rejected := o.alpha(), 0
	for _, a := range adjusted {
		if a <= alpha {
			rejected++
		}
	}
	cut := alpha * float64(max(rejected, 1)) / float64(len(p)) // the level that rejected them
	states := make([]columnState, len(w.history))
	at := 0
	for i, c := range w.reference.Columns() {
		s := &states[i]
		s.nowhere = true
		for ; at < len(findings) && findings[at].Column == c.Name; at++ {
			s.nowhere = s.nowhere && p[at] > quietFactor*alpha
			if adjusted[at] <= alpha {
				s.add(findings[at], p[at], cut, o)
			}
		}
	}
	return states
}

// add notes a statistic that drifts.
func (s *columnState) add(f profile.Finding, p, cut float64, o Options) {
	threshold := max(f.Law.Threshold(cut), o.floor(f.Statistic))
	s.drifts = true
	if excess := f.Value / threshold; excess > s.excess {
		s.excess = excess
		s.worst = ColumnFinding{Column: f.Column, Statistic: f.Statistic, Value: f.Value, Threshold: threshold, PValue: p}
	}
}

// alpha is the level of one comparison: with independent windows, one false
// alert in RunLength rows.
func (o Options) alpha() float64 { return float64(o.Window) / float64(o.RunLength) }

func (o Options) floor(statistic string) float64 {
	switch statistic {
	case profile.PSI:
		return o.MinPSI
	case profile.KS:
		return o.MinKS
	}
	return o.MinMissing
}

// criticalExcess is how many times its threshold a statistic has to be for a
// critical alert.
const criticalExcess = 2

// checkInputs compares the window with the reference when it is time to.
func (m *Monitor) checkInputs(now time.Time) {
	w := &m.inputs
	if w.since < m.opts.Stride {
		return
	}
	w.since = 0
	states := w.compare(m.opts)
	if states == nil {
		return
	}
	var fresh []columnState
	byName := make(map[string]columnState, len(m.open)) // of the columns that alerts name
	for i, s := range states {
		name := w.reference.Columns()[i].Name
		w.history[i] <<= 1
		if s.drifts {
			w.history[i] |= 1
		}
		if m.named(FeatureDrift, name) {
			byName[name] = s
			continue
		}
		recent := w.history[i] & (1<<m.opts.Of - 1)
		if s.drifts && bits.OnesCount64(recent) >= m.opts.Hits {
			fresh = append(fresh, s)
		}
	}
	m.settle(now, FeatureDrift, "the columns are back at the reference", func(a Alert) (quiet bool, excess float64) {
		quiet = true
		for _, c := range a.Columns {
			s := byName[c.Column]
			quiet, excess = quiet && s.nowhere, max(excess, s.excess)
		}
		return quiet, excess
	})
	if len(fresh) > 0 {
		m.fireColumns(now, fresh)
	}
}

func (m *Monitor) fireColumns(now time.Time, fresh []columnState) {
	slices.SortStableFunc(fresh, func(a, b columnState) int {
		if a.excess != b.excess {
			if a.excess > b.excess {
				return -1
			}
			return 1
		}
		return strings.Compare(a.worst.Column, b.worst.Column)
	})
	severity := Warning
	if fresh[0].excess >= criticalExcess {
		severity = Critical
	}
	columns := make([]ColumnFinding, len(fresh))
	for i, s := range fresh {
		columns[i] = s.worst
	}
	m.fire(now, FeatureDrift, severity, columns, fresh[0].excess)
}
