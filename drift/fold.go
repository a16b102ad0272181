package drift

import "time"

// The years 1 to 9999, in milliseconds since 1970: the times that JSON can hold.
// Others are as good as none.
const (
	firstTime = -62_135_596_800_000
	lastTime  = 253_402_300_799_999
)

// foldQueue judges the events that wait, in the order in which they came.
func (m *Monitor) foldQueue(now time.Time) {
	for _, block := range m.queue.take() {
		for _, e := range block {
			at := millis(now)
			if e.at > firstTime && e.at <= lastTime {
				at = time.UnixMilli(e.at).UTC()
			}
			if e.row != nil {
				m.foldRow(e, at)
			} else {
				m.foldLabel(e, at)
			}
			e.release()
		}
	}
	if dropped := m.counts.dropped.Load(); dropped > m.told {
		m.opts.Logger.Warn("drift: events found the queue full and were dropped: call Check more often or raise Options.Queue",
			"model", m.model, "version", m.version, "dropped", dropped-m.told, "queue", m.opts.Queue)
		m.told = dropped
	}
}

func (m *Monitor) foldRow(e event, at time.Time) {
	if !m.repeats.add(e.key) {
		m.counts.repeated.Add(1)
		return
	}
	reference := m.inputs.reference
	switch {
	case reference == nil:
		m.learnRow(e.row.row, at)
		return
	case e.row.reference == nil: // it came before the reference was learned
		e.row.numbers = reference.Numbers(e.row.numbers[:0], e.row.row)
	case e.row.reference != reference: // and this one, before another state was restored
		m.counts.others.Add(1)
		return
	}
	m.counts.rows.Add(1)
	m.inputs.fold(e.row.numbers)
	m.checkInputs(at)
}

func (m *Monitor) foldLabel(e event, at time.Time) {
	x := labelledError{Key: e.key, X: e.err}
	if usable(e.replaced) {
		m.counts.corrections.Add(1)
		m.errors.restate(x)
		return
	}
	m.counts.labels.Add(1)
	m.errors.observe(x)
	m.checkErrors(at)
}
