package drift

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/mlloop/mlloop/train/frame"
)

// The variant of a version that the route names, and the output that a label
// is the truth of unless it says otherwise.
const (
	primaryVariant = "primary"
	labelOutput    = "label"
)

// Observe takes a row that was answered or, with a Label, the truth about one.
// It counts those of the monitor's own model and version, answered as the
// primary, and passes over all others: of inputs, rows that nobody got an
// answer to. Columns that the reference lacks are passed over; those that the
// row lacks count as missing. Judging is left to Check: until then events wait
// in a queue, and when that is full they are dropped and counted (Counts).
//
// A label is judged by its output, which the event must carry. An error that is
// NaN, infinite or beyond ±10¹⁰⁰ is passed over. A correction (Replaces) is not
// counted again: it takes the place of the label that it replaces in the mean
// that resolves an alert, where that is among the latest Options.Window; the
// detectors do not look back.
func (m *Monitor) Observe(o frame.Observation) {
	if m.closed.Load() {
		return
	}
	if o.Model != m.model || o.Version != m.version || o.Variant != "" && o.Variant != primaryVariant {
		m.counts.others.Add(1)
		return
	}
	e := event{at: noTime}
	if !o.Time.IsZero() {
		e.at = o.Time.UnixMilli()
	}
	if o.Label.IsNull() {
		m.observeRow(e, o)
	} else {
		m.observeLabel(e, o)
	}
}

func (m *Monitor) observeRow(e event, o frame.Observation) {
	if !o.Status.OK() {
		m.counts.unanswered.Add(1)
		return
	}
	e.row = takeRow()
	if reference := m.reference.Load(); reference != nil {
		e.row.reference = reference
		e.row.numbers = reference.Numbers(e.row.numbers[:0], o.Row)
	} else {
		e.row.keep(o.Row)
	}
	e.key = e.row.key(o.ID, o.Index)
	m.put(e)
}

func (m *Monitor) observeLabel(e event, o frame.Observation) {
	name := o.Output
	if name == "" {
		name = labelOutput
	}
	if m.opts.Output != "" && name != m.opts.Output {
		m.counts.others.Add(1)
		return
	}
	output := o.Outputs.Get(name)
	e.err, e.replaced = m.opts.Error(output, o.Label), math.NaN()
	if !o.Replaces.IsNull() {
		e.replaced = m.opts.Error(output, o.Replaces)
	}
	if !usable(e.err) && !usable(e.replaced) {
		m.counts.unusable.Add(1)
		return
	}
	e.key = labelKey(o.ID, o.Index, name)
	m.put(e)
}

func (m *Monitor) put(e event) {
	if !m.queue.put(e) {
		m.counts.dropped.Add(1)
		e.release()
	}
}

// Counts says what became of the events since the monitor was made; what was
// counted before its state was saved is not in it.
type Counts struct {
	Rows        int64 // answered rows that were judged, or learned from
	Labels      int64 // labels that were judged, or learned from
	Corrections int64 // of labels that were counted before
	Waiting     int   // events in the queue now
	Dropped     int64 // events that found the queue full
	Repeated    int64 // rows of a request that was answered before: same ID, index and inputs
	Unanswered  int64 // rows that nobody got an answer to
	Unusable    int64 // labels without a finite error
	Others      int64 // events of another model, version, variant or output
}

// tally is Counts as they grow.
type tally struct {
	rows, labels, corrections, dropped, repeated, unanswered, unusable, others atomic.Int64
}

// Counts returns what became of the events so far.
func (m *Monitor) Counts() Counts {
	t := &m.counts
	return Counts{
		Rows: t.rows.Load(), Labels: t.labels.Load(), Corrections: t.corrections.Load(), Waiting: m.queue.len(),
		Dropped: t.dropped.Load(), Repeated: t.repeated.Load(), Unanswered: t.unanswered.Load(),
		Unusable: t.unusable.Load(), Others: t.others.Load(),
	}
}

// rowPool spares Observe an allocation for each row.
var rowPool = sync.Pool{New: func() any { return new(queuedRow) }}

func takeRow() *queuedRow { return rowPool.Get().(*queuedRow) }
