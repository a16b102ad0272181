package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mlloop/mlloop/drift"
)

// The kinds of message that this package knows. A loop has more: promoted,
// rejected, rolled_back, step.failing, paused …
const (
	KindFired    = "alert.fired"
	KindResolved = "alert.resolved"
	// KindGaveUp is the kind of a message that tells of another one that a sender
	// did not take. A courier never reports that such a message was given up, so
	// that the reports do not feed themselves.
	KindGaveUp = "alert.gave_up"
)

// Message is what senders pass on: a drift alert that fired or resolved, or an
// event of a loop.
type Message struct {
	ID       string         // the same message again has the same ID
	Model    string         // whose loop or monitor it is
	Version  int64          // of the model; 0: the message is about the model
	Kind     string         // KindFired, KindResolved, or a loop's: promoted, rejected, rolled_back, step.failing, paused …
	Severity drift.Severity // drift.Info, drift.Warning or drift.Critical
	Time     time.Time      // when it happened
	Text     string         // one line for a reader
	Alert    *drift.Alert   // nil but for alerts
}

// textColumns is how many of an alert's columns its text names.
const textColumns = 5

// FromAlert returns the message of an alert that fired, or that resolved if it
// has. The severity of an alert that resolved is Info; Message.Alert has its own.
func FromAlert(a drift.Alert) Message {
	a.Columns = slices.Clone(a.Columns)
	m := Message{
		ID: a.ID + "-fired", Model: a.Model, Version: a.Version, Kind: KindFired,
		Severity: a.Severity, Time: a.FiredAt, Alert: &a,
	}
	what := fmt.Sprintf("%s version %d: %s", a.Model, a.Version, strings.ReplaceAll(a.Source, "_", " "))
	if a.Firing() {
		m.Text = oneLine(what + columnText(a.Columns))
		return m
	}
	m.ID, m.Kind, m.Severity, m.Time = a.ID+"-resolved", KindResolved, drift.Info, a.ResolvedAt
	m.Text = fmt.Sprintf("%s resolved after %s", what, a.ResolvedAt.Sub(a.FiredAt).Round(time.Second))
	if a.Reason != "" {
		m.Text += ": " + a.Reason
	}
	m.Text = oneLine(m.Text)
	return m
}

func columnText(columns []drift.ColumnFinding) string {
	var parts []string
	for i, c := range columns {
		if i == textColumns {
			parts = append(parts, fmt.Sprintf("and %d more", len(columns)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%s %.3g over %.3g)", c.Column, c.Statistic, c.Value, c.Threshold))
	}
	if len(parts) == 0 {
		return ""
	}
	return " in " + strings.Join(parts, ", ")
}

// oneLine returns the text as valid UTF-8 without control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
