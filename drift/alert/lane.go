package alert

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// lane is one sender's way through the feed.
type lane struct {
	sender  Sender
	name    string
	feed    Feed
	cursors Cursors
	opts    CourierOptions

	work sync.Mutex // held by the Deliver that is busy with the sender

	mu      sync.Mutex
	unsaved *Cursor // what could not be saved: messages were sent that the stored one does not know of
	call    *call   // the last attempt
}

// pageSize is how many messages are read at once.
const pageSize = 100

func (l *lane) deliver(ctx context.Context, now time.Time) error {
	cur, err := l.open(ctx, now)
	if err != nil {
		return err
	}
	start := time.Now()
	end := start.Add(l.opts.Timeout)
	for {
		page, err := l.page(ctx, cur.Seq, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, n := range page {
			if time.Since(start) > l.opts.Timeout/2 {
				return nil
			}
			var more bool
			if cur, more, err = l.step(ctx, cur, n, now, end); err != nil || !more {
				return err
			}
		}
	}
}

// step brings the sender past the message if it can. more is false when the
// sender is to be left alone.
func (l *lane) step(ctx context.Context, cur Cursor, n Numbered, now, end time.Time) (_ Cursor, more bool, err error) {
	switch {
	case l.tookLate(n.Seq):
	case cur.due(now, l.opts.MaxBackoff):
		err = l.attempt(ctx, n, end)
	case cur.expired(n.Message, now, l.opts.GiveUp):
		next := cur
		next.Seq = n.Seq
		return l.giveUp(ctx, cur, next, n.Message, fault.Errorf(fault.Unavailable, "%s", cur.LastError))
	default:
		return cur, false, nil
	}
	if err == nil {
		if cur.LastError != "" {
			l.opts.Logger.Info("alert: messages are taken again", "sender", l.name, "failing_since", cur.FirstFailure)
		}
		cur = Cursor{Seq: n.Seq}
		return cur, true, l.save(ctx, cur)
	}
	if ctx.Err() == context.Canceled { // the caller stops: no failure of the sender
		return cur, false, ctx.Err()
	}
	if Permanent(err) {
		return l.giveUp(ctx, cur.failed(now, err, l.opts), cur.refused(now, n.Seq, err), n.Message, err)
	}
	cur = cur.failed(now, err, l.opts)
	if cur.Attempts == 1 {
		l.opts.Logger.Warn("alert: a message was not taken; trying again", "sender", l.name, "message", n.Message.ID, "error", err)
	}
	if cur.expired(n.Message, now, l.opts.GiveUp) {
		next := cur
		next.Seq = n.Seq
		return l.giveUp(ctx, cur, next, n.Message, err)
	}
	return cur, false, l.save(ctx, cur)
}

// giveUp reports the message and moves to next, past it, or where it could not be
// reported to stay.
func (l *lane) giveUp(ctx context.Context, stay, next Cursor, m Message, err error) (Cursor, bool, error) {
	l.opts.Logger.Error("alert: a message was given up", "sender", l.name, "message", m.ID, "kind", m.Kind, "error", err)
	if l.opts.GaveUp != nil && m.Kind != KindGaveUp {
		if err := l.opts.GaveUp(ctx, l.name, m, err); err != nil {
			return stay, false, errors.Join(err, l.save(ctx, stay))
		}
	}
	return next, true, l.save(ctx, next)
}

// open returns the cursor, after saving what could not be saved before: until
// that succeeds nothing is sent, for it would be sent again and again.
func (l *lane) open(ctx context.Context, now time.Time) (Cursor, error) {
	cur, fresh, err := l.load(ctx)
	if err != nil {
		return cur, err
	}
	if fresh {
		if cur, err = l.begin(ctx, now); err != nil {
			return cur, err
		}
		return cur, l.save(ctx, cur)
	}
	if l.unsavedCursor() != nil {
		return cur, l.save(ctx, cur)
	}
	return cur, nil
}

// load returns the stored cursor, or the one that could not be saved if that has
// come as far. fresh is true for a sender that has neither.
func (l *lane) load(ctx context.Context) (_ Cursor, fresh bool, err error) {
	cur, err := l.cursors.Load(ctx, l.name)
	missing := errors.Is(err, fault.NotFound)
	if err != nil && !missing {
		return cur, false, err
	}
	if u := l.unsavedCursor(); u != nil && (missing || u.Seq >= cur.Seq) {
		return *u, false, nil
	}
	return cur, missing, nil
}

// begin finds where a sender without a cursor starts: before the first message
// that is not too old.
func (l *lane) begin(ctx context.Context, now time.Time) (Cursor, error) {
	var cur Cursor
	for {
		page, err := l.page(ctx, cur.Seq, pageSize)
		if err != nil || len(page) == 0 {
			return cur, err
		}
		for _, n := range page {
			if !n.Message.Time.Before(now.Add(-l.opts.GiveUp)) {
				return cur, nil
			}
			cur.Seq = n.Seq
		}
	}
}

// page reads the feed and checks its order, which no message may be lost by.
func (l *lane) page(ctx context.Context, after int64, limit int) ([]Numbered, error) {
	page, err := l.feed(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	for _, n := range page {
		if n.Seq <= after {
			return nil, fault.Errorf(fault.Corrupt, "the feed returned message %d after %d", n.Seq, after)
		}
		after = n.Seq
	}
	return page, nil
}

// saveTime is how long a cursor may take to be saved when the caller has stopped.
const saveTime = 5 * time.Second

// save stores the cursor, also when ctx has ended: what it says has happened.
func (l *lane) save(ctx context.Context, cur Cursor) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), saveTime)
		defer cancel()
	}
	l.setUnsaved(&cur)
	if err := l.cursors.Save(ctx, l.name, cur); err != nil {
		return err
	}
	l.setUnsaved(nil)
	return nil
}

func (l *lane) unsavedCursor() *Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unsaved
}

func (l *lane) setUnsaved(c *Cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaved = c
}

func (l *lane) status(ctx context.Context, now time.Time) (Status, error) {
	cur, fresh, err := l.load(ctx)
	if err == nil && fresh {
		cur, err = l.begin(ctx, now)
	}
	s := Status{Sender: l.name, Cursor: cur, HungSince: l.hungSince()}
	for after := cur.Seq; err == nil && s.Pending < maxPending; {
		var page []Numbered
		if page, err = l.page(ctx, after, pageSize); len(page) == 0 {
			break
		}
		s.Pending, after = min(s.Pending+len(page), maxPending), page[len(page)-1].Seq
	}
	return s, err
}
