package retrain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/id"
)

// The parts of a lease's time: after the first its holder renews it, the second
// is between two looks of those who wait for it, and the third is how much of it
// has to be left for a step to begin without renewing it.
const (
	renewPart = 3
	waitPart  = 10
	freshPart = 2
)

// leadership is a process's part in the question who steps the loop. It is safe
// for concurrent use. What it says may be out of date by the time it is acted
// on: it is the token in every write that keeps a former leader out.
type leadership struct {
	store  Store
	model  string
	holder string // this life of this loop
	ttl    time.Duration

	asking chan struct{} // holds one token: who has it may ask the store

	mu    sync.Mutex
	lease Lease         // as the store told it last
	leads bool          // it was this process's then
	asked bool          // and it may be, by an answer that did not arrive
	until time.Time     // by this process's own clock, when that is over at the latest
	lost  chan struct{} // closed when another has taken over; made with each term
}

// leastAsk is how long a store has to answer at least, however short the lease.
const leastAsk = time.Second

func newLeadership(store Store, model string, ttl time.Duration) *leadership {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	k := &leadership{
		store: store, model: model, ttl: ttl, asking: make(chan struct{}, 1),
		holder: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), id.New()), // of one process, loops in containers included
	}
	k.asking <- struct{}{}
	return k
}

// take renews the lease when it is this process's, takes it when it is free, and
// reports whether this process leads. One that led when the store was last heard
// of leads on while the store does not answer: its writes are refused once
// another has taken over. Errors: the store's, where this process did not lead.
func (k *leadership) take(ctx context.Context) (bool, error) {
	_, leads, err := k.ask(ctx)
	return leads, err
}

// ask is take, and returns the lease's token as it was answered, whoever holds
// it. Read later it may be another's, under which this process must not write.
func (k *leadership) ask(ctx context.Context) (token int64, leads bool, err error) {
	select {
	case <-k.asking:
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	defer func() { k.asking <- struct{}{} }()
	asked := time.Now()
	bounded, cancel := context.WithTimeout(ctx, max(k.ttl/renewPart, leastAsk))
	defer cancel()
	lease, err := k.store.AcquireLease(bounded, k.model, k.holder, k.ttl)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = true
	switch {
	case err == nil:
		if !k.leads || k.lease.Token != lease.Token {
			k.lose()
			k.leads, k.lost = true, make(chan struct{})
		}
		k.lease, k.until = lease, asked.Add(k.ttl)
		return lease.Token, true, nil
	case errors.Is(err, ErrConflict):
		k.lose()
		k.lease = lease
		return lease.Token, false, nil
	case k.leads && ctx.Err() == nil:
		return k.lease.Token, true, nil
	}
	return k.lease.Token, false, err
}

// lose ends the present term. k.mu is held.
func (k *leadership) lose() {
	if k.leads {
		close(k.lost)
	}
	k.leads = false
}

// askUnlessFresh is ask, but for a lease that was renewed a moment ago.
func (k *leadership) askUnlessFresh(ctx context.Context) (token int64, leads bool, err error) {
	k.mu.Lock()
	token = k.lease.Token
	fresh := k.leads && time.Until(k.until) > k.ttl/freshPart
	k.mu.Unlock()
	if fresh {
		return token, true, nil
	}
	return k.ask(ctx)
}

// view returns the lease as it was last heard of, and whether it is this
// process's and not over by its own clock.
func (k *leadership) view() (Lease, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lease, k.leads && time.Now().Before(k.until)
}

// keep renews the lease, or waits for it to be free, until ctx is done. It calls
// took whenever this process begins to lead.
func (k *leadership) keep(ctx context.Context, took func()) {
	for {
		k.mu.Lock()
		before, pause := k.leads, k.ttl/waitPart
		if k.leads {
			pause = k.ttl / renewPart
		}
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if leads, err := k.take(ctx); err == nil && leads && !before {
			took()
		}
	}
}

// errDeposed is the cause of a context that ended because another process leads.
var errDeposed = errors.New("another process leads")

// hold keeps the lease while something long is done: the context that it
// returns ends when another process has taken over, with errDeposed as its cause.
// Call stop when it is done.
func (k *leadership) hold(ctx context.Context) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	k.mu.Lock()
	lost := k.lost
	k.mu.Unlock()
	go k.keep(held, func() {})
	go func() {
		select {
		case <-lost:
			cancel(errDeposed)
		case <-held.Done():
		}
	}()
	return held, func() { cancel(context.Canceled) }
}

// release lets the lease go, so that another process leads at once.
func (k *leadership) release(ctx context.Context) error {
	select {
	case <-k.asking:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { k.asking <- struct{}{} }()
	k.mu.Lock()
	asked := k.asked
	k.mu.Unlock()
	if !asked {
		return nil
	}
	if err := k.store.ReleaseLease(ctx, k.model, k.holder); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.leads {
		k.lease.Holder = ""
	}
	k.lose()
	k.asked = false
	return nil
}
