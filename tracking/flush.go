package tracking

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

const (
	patience     = time.Second // how long one run's write holds up those of others
	writesAtOnce = 16          // of different runs
)

// flushLoop writes waiting records to the store until ctx is done.
func (c *Client) flushLoop(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.wake:
		}
		for _, run := range c.waitingRuns() {
			c.flushBehind(ctx, run)
		}
	}
}

// wakeFlusher has the flusher write now. It never blocks.
func (c *Client) wakeFlusher() {
	select {
	case c.wake <- struct{}{}:
	default: // it has been told
	}
}

func (c *Client) waitingRuns() []*Run {
	c.mu.Lock()
	defer c.mu.Unlock()
	runs := make([]*Run, 0, len(c.waiting))
	for run := range c.waiting {
		runs = append(runs, run)
	}
	return runs
}

// flushBehind writes the run's records. A write that takes long goes on by
// itself, so that other runs have their turn.
func (c *Client) flushBehind(ctx context.Context, run *Run) {
	if !run.behind.CompareAndSwap(false, true) {
		return
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		run.behind.Store(false)
		return
	}
	done := make(chan struct{})
	c.background.Go(func() {
		err := run.alone(ctx, run.write)
		run.behind.Store(false)
		<-c.slots
		close(done)
		if ctx.Err() == nil {
			run.sayReach(err)
		}
	})
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	case <-ctx.Done():
	}
}

// sayReach says once that the store is out of reach, and once that it is back.
func (r *Run) sayReach(err error) {
	failing := err != nil
	r.mu.Lock()
	changed := failing != r.failing
	r.failing = failing
	r.mu.Unlock()
	switch {
	case !changed:
	case failing:
		r.client.log.Warn("tracking: records wait for the store", "run", r.info.ID, "error", err)
	default:
		r.client.log.Info("tracking: the store takes records again", "run", r.info.ID)
	}
}

// flushAll writes the records of all runs, which take no more, and returns an
// error for each run whose records are not all stored when ctx ends.
func (c *Client) flushAll(ctx context.Context) []error {
	runs := c.waitingRuns()
	errs := make([]error, len(runs))
	slots := make(chan struct{}, writesAtOnce)
	var wg sync.WaitGroup
	for i, run := range runs {
		run.refuse()
		slots <- struct{}{} // not for ever: flush ends with ctx
		wg.Go(func() {
			defer func() { <-slots }()
			if err := run.alone(ctx, run.write); err != nil {
				errs[i] = fmt.Errorf("run %s: %d records are not stored: %w", run.info.ID, run.queued.Load(), err)
			}
		})
	}
	wg.Wait()
	return errs
}

// Close writes what waits to the store and ends the goroutine. The store stays
// open: it is the caller's. Runs that have not ended stay RUNNING and can be
// resumed by their ID.
//
// It returns when ctx is done, even if the store hangs. Close again tries again
// to write what is left, and says again what was lost.
//
// Errors: what could not be written when ctx ended, and what was wrong with
// records of runs that have not ended.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	stop, done := c.stop, c.done
	c.mu.Unlock()
	errs := c.flushAll(ctx)
	if stop != nil {
		stop()
		<-done // quick: its context is done
		c.awaitBackground(ctx)
	}
	errs = append(errs, c.troubles()...)
	if err := joined(errs); err != nil {
		return fmt.Errorf("tracking: close: %w", err)
	}
	return nil
}

// awaitBackground waits for writes that the flusher began.
func (c *Client) awaitBackground(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		c.background.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

func (c *Client) checkOpen() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed()
	}
	return nil
}

func errClosed() error { return fault.Errorf(ErrClosed, "the client is closed") }
