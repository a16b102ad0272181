package retrain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
)

// The triggers that a Cause names, besides the service's own.
const (
	triggerFirst    = "first"
	triggerManual   = "manual"
	triggerSchedule = "schedule"
	triggerDrift    = "drift"
	triggerDecay    = "decay"
)

// causes asks a person's request and the triggers. One that fails is told of
// and wants nothing.
func (l *Loop) causes(ctx context.Context, now time.Time, champion int64) []Cause {
	s := l.situation(now, champion)
	var causes []Cause
	if m := l.memory.Manual; m != nil {
		causes = append(causes, Cause{Trigger: triggerManual, Detail: m.Reason})
	}
	for i, t := range l.config.Triggers {
		cause, err := wanted(t, s)
		if note := l.noteFailure(ctx, now, triggerPart(i), err); note != nil {
			l.config.Logger.ErrorContext(ctx, "a trigger's failure cannot be stored", "model", l.config.Model, "error", note)
		}
		if err == nil && cause != nil {
			causes = append(causes, *cause)
		}
	}
	return causes
}

// triggerPart names a trigger in events, Status and Metrics.
func triggerPart(i int) string { return fmt.Sprintf("Triggers[%d]", i) }

// situation is what the triggers look at.
func (l *Loop) situation(now time.Time, champion int64) Situation {
	s := Situation{Now: now, LastStart: l.memory.Ledger.LastStart, Alerts: l.firing()}
	if w := l.watcher; w != nil && w.checkpoint.Version == champion {
		s.Live, s.Baseline = w.live(), w.origin.Metrics
	}
	return s
}

// wanted asks one trigger.
func wanted(t Trigger, s Situation) (cause *Cause, err error) {
	err = safely(func() error {
		cause, err = t.Wanted(s)
		return err
	})
	return cause, err
}

// due keeps the causes that need not wait for a back-off; reason says why the
// first of the others waits.
func (l *Loop) due(now time.Time, causes []Cause) (kept []Cause, reason string) {
	worst := l.worst()
	for _, c := range causes {
		why, ok := l.config.Policy.due(now, l.memory.Ledger, c, worst[c.AlertID])
		if ok {
			kept = append(kept, c)
		} else if reason == "" {
			reason = why
		}
	}
	return kept, reason
}

// firing returns the alerts that are firing, in the order of firing.
func (l *Loop) firing() []drift.Alert {
	if l.watcher == nil || l.watcher.monitor == nil {
		return nil
	}
	return l.watcher.monitor.Alerts()
}

// worst is by what factor each firing alert has worsened since its window had
// filled.
func (l *Loop) worst() map[string]float64 {
	out := make(map[string]float64)
	for _, a := range l.firing() {
		out[a.ID] = 1
		if a.Magnitude > 0 {
			out[a.ID] = a.Worst / a.Magnitude
		}
	}
	return out
}

// errPanic marks the panic of a part that the service brought.
var errPanic = errors.New("panic")

// safely makes the panic of a part that the service brought its error: the
// service goes on, and so does the loop. The text says where it happened; a whole
// stack is nothing for a record that people are sent.
func safely(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Errorf(fault.Invalid, "%w: %v (in %s)", errPanic, p, panicSite())
		}
	}()
	return fn()
}

// panicSite names the function that panicked, called while it is recovered from.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	panicked := false
	for {
		f, more := frames.Next()
		inRuntime := strings.HasPrefix(f.Function, "runtime.")
		if panicked && !inRuntime {
			return fmt.Sprintf("%s, %s:%d", f.Function, filepath.Base(f.File), f.Line)
		}
		panicked = panicked || inRuntime
		if !more {
			return "an unknown place"
		}
	}
}
