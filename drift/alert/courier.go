package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Numbered is a message with its place in a feed.
type Numbered struct {
	Seq     int64 // greater than 0
	Message Message
}

// Feed returns up to limit of the messages after a place, in rising order of Seq,
// and none when there are no more. Numbers may be left out; but once a number has
// been returned, no smaller one may appear later.
type Feed func(ctx context.Context, after int64, limit int) ([]Numbered, error)

// Cursors keeps how far each sender has come. Implementations are safe for
// concurrent use, and end when ctx does.
type Cursors interface {
	// Load returns the cursor that Save stored last. Errors: NotFound for a sender
	// that never had one.
	Load(ctx context.Context, sender string) (Cursor, error)
	// Save stores the sender's cursor, durably once it returns. Where several
	// processes share a store, it refuses (Conflict) a process that no longer leads.
	Save(ctx context.Context, sender string, c Cursor) error
}

// CourierOptions configures a courier; the zero value of a field is its default.
type CourierOptions struct {
	Backoff    time.Duration // after the first failed attempt, doubling from there; default 1 s
	MaxBackoff time.Duration // default 10 min
	GiveUp     time.Duration // how long a message may wait for a sender that fails; default 24 h
	Timeout    time.Duration // of one Deliver; an attempt has at least half of it; default 30 s

	// GaveUp is told of each message that a sender will not get: refused with a
	// permanent error, or waiting for GiveUp. It is called before the message is
	// passed over, again when it returns an error, and at times again after the
	// death of the process; from several goroutines at once, one a sender. Messages
	// of KindGaveUp are not reported.
	GaveUp func(ctx context.Context, sender string, m Message, err error) error

	Logger *slog.Logger // first failures, recoveries, and what was given up; nil is silent
}

// Courier brings the messages of a feed to senders. Each sender gets every
// message in order, at least once also when the process is killed: the cursor
// moves after Send returned nil. A sender that fails is left alone for a time that
// doubles with each failure, or as long as its receiver asks (up to an hour), and
// keeps the others waiting no longer than one that works.
//
// A sender without a cursor begins with the messages that are not older than
// GiveUp, so that one that is added later does not repeat a year. A message is
// given up when it was refused for good (Permanent), or when its sender has failed
// for GiveUp while it waited. A panic of a sender is a temporary error of it. One
// that does not return is not called again until it does; what it says then still
// counts.
//
// It is safe for concurrent use.
type Courier struct {
	feed  Feed
	opts  CourierOptions
	lanes []*lane
}

// NewCourier returns a courier. It does no I/O. Errors: Invalid, for what Check
// finds too.
func NewCourier(feed Feed, cursors Cursors, senders []Sender, opts *CourierOptions) (*Courier, error) {
	var o CourierOptions
	if opts != nil {
		o = *opts
	}
	var p fault.Problems
	if feed == nil || cursors == nil {
		p.Addf("alert: a courier needs a feed and cursors")
	}
	if min(o.Backoff, o.MaxBackoff, o.GiveUp, o.Timeout) < 0 {
		p.Addf("alert: CourierOptions: Backoff %s, MaxBackoff %s, GiveUp %s and Timeout %s: none may be negative", o.Backoff, o.MaxBackoff, o.GiveUp, o.Timeout)
	}
	if err := Check(senders...); err != nil {
		p.Addf("%s", err)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	o.defaults()
	c := &Courier{feed: feed, opts: o}
	for _, s := range senders {
		c.lanes = append(c.lanes, &lane{sender: s, name: s.Name(), feed: feed, cursors: cursors, opts: o})
	}
	return c, nil
}

func (o *CourierOptions) defaults() {
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 10*time.Minute)
	o.Backoff = min(cmp.Or(o.Backoff, time.Second), o.MaxBackoff)
	o.GiveUp = cmp.Or(o.GiveUp, 24*time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Deliver sends what each sender has not taken yet, all senders at once, and
// returns when that is done or CourierOptions.Timeout has passed, whatever the senders
// do. What then still waits is for the next call. now is the time of the messages:
// the wall clock, or a replay's. A sender that another call is busy with is
// skipped. Errors: those of the feed, the cursors and GaveUp, and Canceled when
// ctx was; a sender's own are in its Status.
func (c *Courier) Deliver(ctx context.Context, now time.Time) error {
	errs := make([]error, len(c.lanes))
	var wait sync.WaitGroup
	for i, l := range c.lanes {
		wait.Go(func() {
			if !l.work.TryLock() {
				return
			}
			defer l.work.Unlock()
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fault.Errorf(fault.Unavailable, "alert: deliver to %s: panic of the feed, the cursors or GaveUp: %v", l.name, p)
				}
			}()
			if err := l.deliver(ctx, now); err != nil {
				errs[i] = fmt.Errorf("alert: deliver to %s: %w", l.name, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Status is where a sender stands.
type Status struct {
	Sender string
	Cursor
	Pending   int       // messages that wait for it, counted up to 1,000
	HungSince time.Time // by the wall clock: since when its Send has not returned, beyond the time it has; zero if it has
}

// maxPending bounds what Status counts.
const maxPending = 1000

// Status returns where each sender stands, in the order of NewCourier. now is as
// of Deliver. It may be called at any time. Errors: those of the feed and cursors.
func (c *Courier) Status(ctx context.Context, now time.Time) ([]Status, error) {
	var out []Status
	for _, l := range c.lanes {
		s, err := l.status(ctx, now)
		if err != nil {
			return nil, fmt.Errorf("alert: status of %s: %w", l.name, err)
		}
		out = append(out, s)
	}
	return out, nil
}
