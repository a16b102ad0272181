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
}

func (a Alert) clone() Alert {
	a.Columns = slices.Clone(a.Columns)
	return a
}

// fire opens an episode. The id follows from what fired and when, so that a
// monitor that runs over the same rows again, after a crash, gives the same
// ids.
func (m *Monitor) fire(now time.Time, source string, severity Severity, columns []ColumnFinding) Alert {
	m.fired++
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %s %d %d", m.model, m.version, source, m.fired, now.UnixMilli()))
	a := Alert{
		ID: hex.EncodeToString(sum[:16]), Model: m.model, Version: m.version,
		Source: source, Severity: severity, Columns: columns, FiredAt: now,
	}
	m.open = append(m.open, &episode{Alert: a})
	m.opts.Logger.Warn("drift: alert fired", "model", m.model, "version", m.version, "alert", a.ID, "source", source,
		"severity", string(severity), "columns", a.ColumnNames())
	return a.clone()
}

// resolve ends an episode; the caller takes it out of m.open.
func (m *Monitor) resolve(e *episode, now time.Time, reason string) Alert {
	e.Alert.ResolvedAt, e.Alert.Reason = now, reason
	m.opts.Logger.Info("drift: alert resolved", "model", m.model, "version", m.version, "alert", e.Alert.ID,
		"source", e.Alert.Source, "reason", reason)
	return e.Alert.clone()
}

// settle counts a quiet or a loud comparison of every firing alert of the
// source, and resolves those that have been quiet for long enough.
func (m *Monitor) settle(now time.Time, source, reason string, quiet func(Alert) bool) []Alert {
	var changed []Alert
	m.open = slices.DeleteFunc(m.open, func(e *episode) bool {
		if e.Alert.Source != source {
			return false
		}
		if !quiet(e.Alert) {
			e.Quiet = 0
			return false
		}
		if e.Quiet++; e.Quiet < m.opts.Resolve {
			return false
		}
		changed = append(changed, m.resolve(e, now, reason))
		return true
	})
	return changed
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
