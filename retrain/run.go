package retrain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// drainTimeout is how long Run tries to store the last predictions.
const drainTimeout = 10 * time.Second

// Run steps the loop every Config.Interval, and as soon as a fit ends, and
// delivers Config.Alerts and collects garbage beside the steps, until ctx is done; then it makes what
// was answered durable and returns nil. A retraining that is under way goes on
// at the next start. A failed step is reported (see Status) and tried again; Run
// gives up only when the stores or the server are closed, and returns that error.
//
// Where several processes run the loop of one model on one database, one of them
// leads: it holds a lease of Config.Lease, which is renewed beside the steps. The
// others serve, follow the route and log what they answered. A leader whose Run
// returns hands over at once; one that is killed is followed by another within
// Config.Lease and a tenth of it.
func (l *Loop) Run(ctx context.Context) error {
	beside, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { l.runDelivery(beside) })
	work.Go(func() { l.leads.keep(beside, l.pokeRun) })
	work.Go(func() { runFollow(beside, l.server, l.config.Model, l.config.Logger) })
	work.Go(func() { l.runCollect(beside) })
	err := l.runSteps(beside)
	stop()
	work.Wait()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	released := l.leads.release(drain) // first: nobody is to wait for the draining
	if err != nil {
		return err
	}
	if released != nil { // the lease ends by itself
		l.config.Logger.ErrorContext(drain, "the lease cannot be released: another process leads once its time is over", "model", l.config.Model, "error", released)
	}
	return l.server.Flush(drain)
}

// runFollow follows the stored route until ctx is done. A store that cannot be
// waited on leaves it to the steps.
func runFollow(ctx context.Context, server *serve.Server, model string, logger *slog.Logger) {
	if err := server.Follow(ctx, model); err != nil && ctx.Err() == nil {
		logger.WarnContext(ctx, "the route is followed at each step only", "model", model, "error", err)
	}
}

// pokeRun makes Run step at once.
func (l *Loop) pokeRun() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

func (l *Loop) runSteps(ctx context.Context) error {
	ticker := time.NewTicker(l.config.Interval)
	defer ticker.Stop()
	for {
		poke := l.poke
		err := l.Step(ctx, l.config.Now())
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, ErrClosed):
			return err
		case errors.Is(err, errOvertaken):
			l.config.Logger.InfoContext(ctx, "another process wrote in the middle of a step, which is made again", "model", l.config.Model, "error", err)
			l.pokeRun()
		default:
			l.config.Logger.ErrorContext(ctx, "step failed; it is tried again", "model", l.config.Model, "error", err)
			poke = nil // a fit that ended long ago would have it tried again at once, and for ever
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-poke:
		}
	}
}

// pokeAfter makes Run step once the workflow has ended, once in a life.
func (l *Loop) pokeAfter(id string) {
	if l.poked == id {
		return
	}
	l.poked = id
	ctx := context.Background() // the engine's Close ends the wait
	go func() {
		if _, err := l.config.Stores.Engine.Wait(ctx, id); err != nil {
			return
		}
		l.pokeRun()
	}()
}

// Settle waits for what the loop has under way beside its steps: the fit and
// the shadow's answers, each no longer than its own deadline. The next Step then
// sees their results, so that a replay depends on its own times alone.
func (l *Loop) Settle(ctx context.Context) error {
	var fitting string
	err := l.alone(ctx, "settle", func(ctx context.Context) error {
		if leads, err := l.open(ctx); err != nil || !leads {
			return err
		}
		if a := l.memory.Attempt; a != nil && a.Retraining.Stage == Fitting && !a.FitStartedAt.IsZero() {
			fitting = a.fitID()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if fitting != "" {
		if _, err := l.config.Stores.Engine.Wait(ctx, fitting); err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("retrain: settle %s: fit: %w", l.config.Model, err)
		}
	}
	if err := l.server.Drain(ctx); err != nil {
		return fmt.Errorf("retrain: settle %s: %w", l.config.Model, err)
	}
	return nil
}

// FitFirst fits the first champion on the history, whose labels are all known,
// and serves it; it returns when that is done. When there is a champion it does
// nothing. A nil history stands for what Data yields by now, as the loop takes it
// without a FitFirst, at its first steps. Where another process leads, it waits
// until that one has made a champion, or this one leads.
// When a FitFirst was cut off, call it again in the next life: the history is
// not stored. Errors: the fit's own.
func (l *Loop) FitFirst(ctx context.Context, now time.Time, history *frame.Table) error {
	l.history.Store(history)
	now = timestamp(now)
	for {
		done := false
		err := l.alone(ctx, "first fit of", func(ctx context.Context) (err error) {
			done, err = l.fitFirstOrFollow(ctx, now)
			return err
		})
		if err != nil || done {
			return err
		}
		if err := sleep(ctx, l.leads.ttl/waitPart); err != nil {
			return fmt.Errorf("retrain: first fit of %s: %w", l.config.Model, err)
		}
	}
}

// fitFirstOrFollow reports whether there is a champion.
func (l *Loop) fitFirstOrFollow(ctx context.Context, now time.Time) (bool, error) {
	leads, err := l.open(ctx)
	if err != nil {
		return false, err
	}
	if !leads {
		alias, err := l.registry(now).Alias(ctx, l.config.Model, registry.Champion)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		return alias.Version != 0, l.follow(ctx)
	}
	held, stop := l.leads.hold(ctx)
	defer stop()
	before := l.memory.Followed
	champion, err := l.align(held, now)
	switch {
	case err != nil:
		return false, err
	case champion == 0:
		return true, l.fitFirst(held, now)
	}
	l.history.Store(nil) // it is needed no more
	if l.memory.Followed != before {
		return true, l.putState(held)
	}
	return true, nil
}

// fitFirst begins or takes up the first fit, waits for it and promotes it.
func (l *Loop) fitFirst(ctx context.Context, now time.Time) error {
	decided := l.memory.Pending
	if err := l.finishPending(ctx); err != nil {
		return err
	}
	if decided != nil && decided.Next.Stage == Promoted && l.memory.Followed == decided.Next.Version {
		return nil // an earlier life was cut off in the promotion
	}
	if l.memory.Attempt == nil {
		if err := l.begin(ctx, now, 0, []Cause{{Trigger: triggerFirst, Detail: "there is no champion"}}); err != nil {
			return err
		}
	}
	a := l.memory.Attempt
	a.FitAfter = time.Time{}
	if err := l.startFit(ctx, now); err != nil {
		return err
	}
	result, err := l.config.Stores.Engine.Wait(ctx, a.fitID())
	if err != nil {
		return err
	}
	if err := l.advance(ctx, now, 0); err != nil {
		return err
	}
	switch {
	case result.Err != nil:
		return fmt.Errorf("the first fit failed: %w", result.Err)
	case l.memory.Attempt != nil && l.memory.Paused != nil:
		return fault.Errorf(fault.Conflict, "the first fit has ended, and is not promoted while the loop is paused: call Unpause, then FitFirst again")
	case l.memory.Attempt != nil:
		return fault.Errorf(fault.Conflict, "the first fit has ended, and was not promoted: call FitFirst again")
	}
	return l.putState(ctx)
}
