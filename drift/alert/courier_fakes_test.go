package alert_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
)

// feed is a log in memory.
type feed struct {
	mu       sync.Mutex
	messages []alert.Numbered
	err      error
}

// add appends n messages of the time.
func (f *feed) add(n int, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		seq := int64(3*len(f.messages) + 3) // with gaps
		f.messages = append(f.messages, alert.Numbered{Seq: seq, Message: alert.Message{ID: fmt.Sprint("m", seq), Kind: "promoted", Time: at}})
	}
}

func (f *feed) read(_ context.Context, after int64, limit int) ([]alert.Numbered, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.messages, func(n alert.Numbered) bool { return n.Seq > after })
	if i < 0 || f.err != nil {
		return nil, f.err
	}
	return slices.Clone(f.messages[i:min(i+limit, len(f.messages))]), nil
}

func (f *feed) ids() (ids []string) {
	for _, n := range f.messages {
		ids = append(ids, n.Message.ID)
	}
	return ids
}

// cursors is a store in memory, which fails when told to.
type cursors struct {
	mu    sync.Mutex
	saved map[string]alert.Cursor
	saves int
	fail  error
}

func (c *cursors) Load(_ context.Context, sender string) (alert.Cursor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cur, ok := c.saved[sender]
	if !ok {
		return cur, fault.Errorf(fault.NotFound, "no cursor of %s", sender)
	}
	return cur, nil
}

func (c *cursors) Save(ctx context.Context, sender string, cur alert.Cursor) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil || ctx.Err() != nil {
		return errors.Join(c.fail, ctx.Err())
	}
	if c.saved == nil {
		c.saved = map[string]alert.Cursor{}
	}
	c.saved[sender] = cur
	c.saves++
	return nil
}

// receiver is a sender whose behaviour changes.
type receiver struct {
	name string
	mu   sync.Mutex
	got  []string // taken
	at   []time.Time
	say  func(ctx context.Context, m alert.Message) error // nil: takes everything
}

func (r *receiver) Name() string { return r.name }

func (r *receiver) Send(ctx context.Context, m alert.Message) error {
	r.mu.Lock()
	say := r.say
	r.at = append(r.at, time.Now())
	r.mu.Unlock()
	if say != nil {
		if err := say(ctx, m); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m.ID)
	return nil
}

func (r *receiver) will(say func(ctx context.Context, m alert.Message) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.say = say
}

func down(context.Context, alert.Message) error { return errors.New("down") }

// reports notes what was given up.
type reports struct {
	mu   sync.Mutex
	ids  []string
	errs []error
	fail error
}

func (r *reports) gaveUp(_ context.Context, sender string, m alert.Message, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.ids, r.errs = append(r.ids, sender+" "+m.ID), append(r.errs, err)
	return nil
}

func courier(t *testing.T, f *feed, c *cursors, r *reports, senders ...alert.Sender) *alert.Courier {
	t.Helper()
	opts := &alert.CourierOptions{}
	if r != nil {
		opts.GaveUp = r.gaveUp
	}
	out, err := alert.NewCourier(f.read, c, senders, opts)
	require.NoError(t, err)
	return out
}
