package drift

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// learner gathers the rows that a missing reference is learned from.
type learner struct {
	want   int
	schema frame.Schema // of the first row; nil before it
	rows   []frame.Row
}

// Learning returns how many of the rows that a missing reference is learned
// from have been seen, and how many there have to be; both are 0 once the
// monitor has a reference.
func (m *Monitor) Learning() (have, want int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inputs.reference != nil {
		return 0, 0
	}
	return len(m.learn.rows), m.learn.want
}

// learnRow takes a row, which is the learner's to keep.
func (m *Monitor) learnRow(row frame.Row, at time.Time) {
	l := &m.learn
	if l.schema == nil {
		if err := row.Schema.Check(); err != nil {
			m.counts.unusable.Add(1)
			m.opts.Logger.Warn("drift: the reference cannot be learned from a row like this", "model", m.model, "version", m.version, "error", err.Error())
			return
		}
		l.schema = row.Schema
	}
	m.counts.rows.Add(1)
	l.rows = append(l.rows, conform(row, l.schema))
	if len(l.rows) < l.want {
		return
	}
	reference, err := l.profile(m.opts.Window)
	l.schema, l.rows = nil, nil
	if err != nil {
		m.opts.Logger.Error("drift: the reference cannot be learned; the monitor begins anew", "model", m.model, "version", m.version, "error", err.Error())
		return
	}
	m.watch(newInputWatch(reference))
	m.opts.Logger.Info("drift: the reference is learned", "model", m.model, "version", m.version, "rows", reference.Rows())
	m.open = slices.DeleteFunc(m.open, func(e *episode) bool {
		gone := e.Alert.Source == FeatureDrift && !m.inputs.knows(e.Alert)
		if gone {
			m.resolve(e, at, "the reference has no such columns")
		}
		return gone
	})
}

func (l *learner) profile(window int) (*profile.Profile, error) {
	table, err := frame.FromRows(l.schema, l.rows)
	if err != nil {
		return nil, err
	}
	return profile.New(table, nil, &profile.Options{Window: window})
}

// conform gives the row the columns of the schema: what it lacks, what is of
// another kind that is no number either, and text that is not UTF-8 is missing.
func conform(row frame.Row, schema frame.Schema) frame.Row {
	out := frame.Row{Schema: schema, Values: make([]frame.Value, len(schema))}
	for i, f := range schema {
		v := row.Get(f.Name)
		if v.Kind() != f.Kind && f.Kind == frame.Float64 && v.Kind() != frame.String && !v.IsNull() {
			v = frame.FloatValue(v.Float())
		}
		if v.Kind() == f.Kind && (f.Kind != frame.String || utf8.ValidString(v.Text())) {
			out.Values[i] = v
		}
	}
	return out
}
