package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
)

// Sender passes messages on. Senders are safe for concurrent use.
type Sender interface {
	// Name is what a delivery cursor is kept under: the same after a restart,
	// another than that of every sender beside it, and without secrets.
	Name() string
	// Send makes one attempt and returns nil once the message has been taken. It
	// may be called again with the same message, also after nil: a process may die
	// before it noted that. Errors: those that Permanent tells from others.
	Send(ctx context.Context, m Message) error
}

// Permanent reports whether sending the same message again cannot help: the
// error is of kind Invalid, Denied or Unsupported. All others are temporary.
func Permanent(err error) bool {
	switch fault.Kind(err) {
	case fault.Invalid, fault.Denied, fault.Unsupported:
		return true
	}
	return false
}

// RetryAfter returns how long a receiver wants to be left alone, and 0 if it did
// not say. Any error that err wraps may tell by a method RetryAfter.
func RetryAfter(err error) time.Duration {
	var d interface{ RetryAfter() time.Duration }
	if !errors.As(err, &d) {
		return 0
	}
	return max(0, d.RetryAfter())
}

// Check tells before the first message what cannot work: a sender that is nil,
// names that are empty or the same, and whatever a sender's own method
// Check() error finds, such as a malformed URL. It does no I/O. Errors: Invalid,
// with all that is wrong.
func Check(senders ...Sender) error {
	var p fault.Problems
	seen := map[string]bool{}
	for i, s := range senders {
		if s == nil {
			p.Addf("sender %d is nil", i)
			continue
		}
		name := s.Name()
		switch {
		case name == "":
			p.Addf("sender %d has no name", i)
		case seen[name]:
			p.Addf("two senders are named %q: give one another name in its options", name)
		}
		seen[name] = true
		if c, ok := s.(interface{ Check() error }); ok {
			if err := c.Check(); err != nil {
				p.Addf("sender %d: %s", i, err)
			}
		}
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	return nil
}

type funcSender struct {
	name string
	send func(ctx context.Context, m Message) error
}

// Func returns a sender that calls a function, from several goroutines at once
// where messages are sent so.
func Func(name string, send func(ctx context.Context, m Message) error) Sender {
	return funcSender{name, send}
}

func (f funcSender) Name() string { return f.name }

func (f funcSender) Check() error {
	if f.send == nil {
		return fault.Errorf(fault.Invalid, "%s: the function is nil", f.name)
	}
	return nil
}

func (f funcSender) Send(ctx context.Context, m Message) error {
	if err := f.Check(); err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	return f.send(ctx, m)
}

type logSender struct{ logger *slog.Logger }

// Log returns a sender named log that writes each message's text as a record: at
// level Error for a critical one, Warn for a warning, Info for the others. A nil
// logger is slog.Default. It never fails.
func Log(logger *slog.Logger) Sender {
	if logger == nil {
		logger = slog.Default()
	}
	return logSender{logger}
}

func (s logSender) Name() string { return "log" }

func (s logSender) Send(ctx context.Context, m Message) error {
	level := slog.LevelInfo
	switch m.Severity {
	case drift.Critical:
		level = slog.LevelError
	case drift.Warning:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("kind", m.Kind), slog.String("model", m.Model)}
	if m.Version != 0 {
		attrs = append(attrs, slog.Int64("version", m.Version))
	}
	attrs = append(attrs, slog.Time("at", m.Time), slog.String("id", m.ID))
	if m.Alert != nil {
		attrs = append(attrs, slog.String("alert", m.Alert.ID), slog.Any("columns", m.Alert.ColumnNames()))
	}
	s.logger.LogAttrs(ctx, level, m.Text, attrs...)
	return nil
}
