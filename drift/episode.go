package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// episode is an alert that is firing.
type episode struct {
	Alert Alert `json:"alert"`
	Quiet int   `json:"quiet"` // comparisons in a row without drift
	// Looks counts comparisons since it fired, until a window has passed: from
	// then on the window holds nothing from before.
	Looks int `json:"looks"`
}

func (a Alert) clone() Alert {
	a.Columns = slices.Clone(a.Columns)
	return a
}

// fire opens an episode. The id follows from what fired and when, so that a
// monitor that runs over the same rows again, after a crash, gives the same
// ids.
func (m *Monitor) fire(now time.Time, source string, severity Severity, columns []ColumnFinding, magnitude float64) {
	m.fired++
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %s %d %d", m.model, m.version, source, m.fired, now.UnixMilli()))
	a := Alert{
		ID: hex.EncodeToString(sum[:16]), Model: m.model, Version: m.version,
		Source: source, Severity: severity, Columns: columns, Magnitude: magnitude, Worst: magnitude, FiredAt: now,
	}
	e := &episode{Alert: a}
	m.open = append(m.open, e)
	m.note(e)
	m.opts.Logger.Warn("drift: alert fired", "model", m.model, "version", m.version, "alert", a.ID, "source", source,
		"severity", string(severity), "columns", a.ColumnNames())
}

// note makes the next Check return the episode's alert.
func (m *Monitor) note(e *episode) {
	if !slices.Contains(m.changed, e) {
		m.changed = append(m.changed, e)
	}
}

// resolve ends an episode; the caller takes it out of m.open. Rows may come out
// of order, but nothing resolves before it fired.
func (m *Monitor) resolve(e *episode, now time.Time, reason string) {
	if now.Before(e.Alert.FiredAt) {
		now = e.Alert.FiredAt
	}
	e.Alert.ResolvedAt, e.Alert.Reason = now, reason
	m.note(e)
	m.opts.Logger.Info("drift: alert resolved", "model", m.model, "version", m.version, "alert", e.Alert.ID,
		"source", e.Alert.Source, "reason", reason)
}

// worseStep is by what share an alert has to worsen to be stored anew.
const worseStep = 0.1

// worsen notes how far an alert goes now. Until a window has passed since it
// fired, that is how far it went from the start.
func (m *Monitor) worsen(e *episode, excess float64) {
	settled := e.Looks >= m.opts.looks()
	if !settled {
		e.Looks++
	}
	if excess <= 0 || excess < (1+worseStep)*e.Alert.Worst {
		return
	}
	e.Alert.Worst = excess
	if !settled {
		e.Alert.Magnitude = excess
	}
	m.note(e)
}

// looks is how many comparisons there are in a window of rows.
func (o Options) looks() int { return (o.Window + o.Stride - 1) / o.Stride }

// settle counts a quiet or a loud comparison of every firing alert of the
// source, notes how far it has gone, and resolves those that have been quiet
// for long enough. It reports whether any resolved.
func (m *Monitor) settle(now time.Time, source, reason string, look func(Alert) (quiet bool, excess float64)) (resolved bool) {
	m.open = slices.DeleteFunc(m.open, func(e *episode) bool {
		if e.Alert.Source != source {
			return false
		}
		quiet, excess := look(e.Alert)
		m.worsen(e, excess)
		if !quiet {
			e.Quiet = 0
			return false
		}
		if e.Quiet++; e.Quiet < m.opts.Resolve {
			return false
		}
		m.resolve(e, now, reason)
		resolved = true
		return true
	})
	return resolved
}

// named reports whether a firing alert of the source names the column.
func (m *Monitor) named(source, column string) bool {
	return slices.ContainsFunc(m.open, func(e *episode) bool {
		return e.Alert.Source == source && slices.Contains(e.Alert.ColumnNames(), column)
	})
}

// ColumnNames returns the names of the alert's columns, worst first.
func (a Alert) ColumnNames() []string {
	names := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		names[i] = c.Column
	}
	return names
}

// Firing reports whether the alert has not been resolved.
func (a Alert) Firing() bool { return a.ResolvedAt.IsZero() }

// Equal reports whether both are the same but for Seq, as a store keeps them:
// times by the millisecond, no columns or none.
func (a Alert) Equal(b Alert) bool {
	if !slices.Equal(a.Columns, b.Columns) || !millis(a.FiredAt).Equal(millis(b.FiredAt)) || !millis(a.ResolvedAt).Equal(millis(b.ResolvedAt)) {
		return false
	}
	return a.ID == b.ID && a.Model == b.Model && a.Version == b.Version && a.Source == b.Source && a.Severity == b.Severity &&
		a.Magnitude == b.Magnitude && a.Worst == b.Worst && a.Reason == b.Reason
}
