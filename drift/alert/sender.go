package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/mlloop/mlloop/drift"
)

// Sender passes an alert on, when it fires and when it resolves. Senders are
// safe for concurrent use.
type Sender interface {
	// Send returns nil once the alert has been taken. It may be called again
	// with the same alert after an error.
	Send(ctx context.Context, a drift.Alert) error
}

// messageID names what is sent of an alert: its firing or its resolution.
func messageID(a drift.Alert) string {
	if a.Firing() {
		return a.ID + "-fired"
	}
	return a.ID + "-resolved"
}

type logSender struct{ logger *slog.Logger }

// Log returns a sender that writes a record an alert: at level Error for a
// critical alert that fires, Warn for another that fires, Info for one that
// resolves. It never fails.
func Log(logger *slog.Logger) Sender { return logSender{logger} }

func (s logSender) Send(ctx context.Context, a drift.Alert) error {
	level, text := slog.LevelInfo, "drift alert resolved"
	if a.Firing() {
		level, text = slog.LevelWarn, "drift alert fired"
		if a.Severity == drift.Critical {
			level = slog.LevelError
		}
	}
	attrs := []slog.Attr{
		slog.String("alert", a.ID), slog.String("model", a.Model), slog.Int64("version", a.Version),
		slog.String("source", a.Source), slog.String("severity", string(a.Severity)), slog.Any("columns", a.ColumnNames()),
	}
	if !a.Firing() {
		attrs = append(attrs, slog.String("reason", a.Reason), slog.Duration("lasted", a.ResolvedAt.Sub(a.FiredAt)))
	}
	s.logger.LogAttrs(ctx, level, text, attrs...)
	return nil
}

type multi []Sender

// Multi returns a sender that passes each alert to all the senders, in order,
// and joins their errors.
func Multi(senders ...Sender) Sender { return multi(senders) }

func (m multi) Send(ctx context.Context, a drift.Alert) error {
	var errs []error
	for _, s := range m {
		errs = append(errs, s.Send(ctx, a))
	}
	return errors.Join(errs...)
}

// dedupSize bounds what Dedup remembers: far more than alerts are ever open.
const dedupSize = 10_000

type dedup struct {
	next Sender

	mu    sync.Mutex
	sent  map[string]bool
	order []string // of sending, oldest first
}

// Dedup returns a sender that passes the firing and the resolution of each
// alert on once, and again only after an error. It remembers the last 10,000
// messages.
func Dedup(next Sender) Sender { return &dedup{next: next, sent: map[string]bool{}} }

func (d *dedup) Send(ctx context.Context, a drift.Alert) error {
	id := messageID(a)
	if !d.claim(id) {
		return nil
	}
	if err := d.next.Send(ctx, a); err != nil {
		d.mu.Lock()
		delete(d.sent, id)
		d.mu.Unlock()
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.order = append(d.order, id); len(d.order) > dedupSize {
		delete(d.sent, d.order[0])
		d.order = d.order[1:]
	}
	return nil
}

// claim reports whether the message is to be sent, by the caller alone.
func (d *dedup) claim(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sent[id] {
		return false
	}
	d.sent[id] = true
	return true
}
