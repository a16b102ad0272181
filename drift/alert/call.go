package alert

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// call is one attempt, on a goroutine of its own: nothing can stop a Send that
// does not look at its context.
type call struct {
	seq   int64
	begun time.Time
	end   time.Time // of the time it has
	done  chan struct{}
	err   error // once done is closed
}

func (c *call) returned() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// grace is how long an attempt may take to return when the caller has stopped: it
// may just have succeeded.
const grace = time.Second

// attempt calls Send and waits for it until end.
func (l *lane) attempt(ctx context.Context, n Numbered, end time.Time) error {
	c, earlier := l.start(ctx, n, end)
	if earlier {
		return fault.Errorf(fault.Unavailable, "the sender has not returned since %s, from message %d", c.begun.UTC().Format(time.RFC3339), c.seq)
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-c.done:
		return c.err
	case <-timer.C:
	case <-ctx.Done():
		select {
		case <-c.done:
			return c.err
		case <-time.After(grace):
		}
	}
	return fault.Errorf(fault.Unavailable, "the sender did not return within %s", time.Since(c.begun).Round(time.Millisecond))
}

// start begins an attempt, or returns an earlier one that has not returned.
func (l *lane) start(ctx context.Context, n Numbered, end time.Time) (_ *call, earlier bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.call != nil && !l.call.returned() {
		return l.call, true
	}
	c := &call{seq: n.Seq, begun: time.Now(), end: end, done: make(chan struct{})}
	l.call = c
	within, cancel := context.WithDeadline(ctx, end)
	go func() {
		defer close(c.done)
		defer cancel()
		c.err = fault.Errorf(fault.Unavailable, "the sender ended its goroutine")
		defer func() {
			if p := recover(); p != nil {
				c.err = fault.Errorf(fault.Unavailable, "panic: %v", p)
				l.opts.Logger.Error("alert: a sender panicked", "sender", l.name, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		c.err = l.sender.Send(within, n.Message)
	}()
	return c, false
}

// tookLate reports whether an attempt that was no longer waited for has brought
// the message after all.
func (l *lane) tookLate(seq int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.call != nil && l.call.seq == seq && l.call.returned() && l.call.err == nil
}

func (l *lane) hungSince() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.call == nil || l.call.returned() || time.Now().Before(l.call.end) {
		return time.Time{}
	}
	return l.call.begun
}
