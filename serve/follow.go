package serve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Follow makes the server answer as the model's stored route says, from the
// first one on, until ctx is done: it waits for changes by Store.WaitRoute, loads
// the versions that a new route needs and moves the traffic, so that a process
// which only serves is a moment behind the one that leads. Then it returns nil;
// it does not flush the log.
//
// Nothing that goes wrong takes an answer away: while the store is away or the
// primary cannot be loaded, the last good route stays; a challenger that cannot
// be loaded is left out, and the primary answers alone. Each is logged once and
// tried again, ever less often, PollInterval apart at most. Errors: Unsupported
// without Options.Log, or with one that has no WaitRoute; Closed.
func (s *Server) Follow(ctx context.Context, model string) error {
	err := s.followUntil(ctx, model)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve: follow the route of %s: %w", model, err)
}

// followUntil returns when ctx is done, or with an error that stays.
func (s *Server) followUntil(ctx context.Context, model string) error {
	if s.opts.Log == nil {
		return fault.Errorf(fault.Unsupported, "the server has no Options.Log, which is where routes are stored")
	}
	f := follower{s: s, m: s.model(model)}
	for ctx.Err() == nil {
		err := f.wait(ctx)
		if errors.Is(err, fault.Unsupported) {
			return err
		}
		if err == nil {
			err = f.take(ctx)
		}
		if errors.Is(err, fault.Closed) {
			return err
		}
		f.rest(err)
		f.tell(ctx, err)
	}
	return ctx.Err()
}

// follower is one call of Follow.
type follower struct {
	s       *Server
	m       *served
	backoff time.Duration // before the next try; 0: the last one went well
	failed  int64         // Rev of the route that could not be applied; 0: the store was away, or all is well
	told    string        // the error that was logged last; "": all is well
}

// wait returns when there is a route to apply: one that is not the present one,
// or the one that could not be applied, after a rest.
func (f *follower) wait(ctx context.Context) error {
	rested, cancel := context.WithTimeout(ctx, f.backoff)
	defer cancel()
	if f.failed != 0 {
		if _, err := f.s.opts.Log.WaitRoute(rested, f.m.name, f.failed); err != nil {
			<-rested.Done()
		}
		return ctx.Err()
	}
	<-rested.Done()
	rev := int64(0)
	if t := f.m.current.Load(); t != nil {
		rev = t.route.Rev
	}
	_, err := f.s.opts.Log.WaitRoute(ctx, f.m.name, rev)
	return err
}

// take applies the stored route, read again while no other change is under way.
func (f *follower) take(ctx context.Context) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.failed = 0
	r, err := f.s.latest(ctx, f.m.name)
	if err != nil {
		return err
	}
	t := f.m.current.Load()
	if t != nil && t.route == r {
		return nil
	}
	if err = f.s.apply(ctx, f.m, r, false); err == nil || ctx.Err() != nil {
		return err
	}
	f.failed = r.Rev
	alone := r.alone()
	if alone != r && ((t != nil && t.route == alone) || f.s.apply(ctx, f.m, alone, false) == nil) {
		return fmt.Errorf("the primary answers alone: %w", err)
	}
	return err
}

// alone returns the route without its challengers.
func (r Route) alone() Route {
	r.Canary, r.Shadow = 0, 0
	return r.normal()
}

// rest sets how long to wait after a try.
func (f *follower) rest(err error) {
	if err == nil {
		f.backoff = 0
		return
	}
	f.backoff = min(max(firstBackoff, 2*f.backoff), max(firstBackoff, f.s.opts.PollInterval))
}

// tell logs an error when it is another than the last, and that it is over.
func (f *follower) tell(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == f.told || ctx.Err() != nil {
		return
	}
	if f.told = text; err != nil {
		f.s.opts.Logger.Error("serve: the stored route cannot be followed whole: it is tried again", "model", f.m.name, "error", err)
	} else {
		f.s.opts.Logger.Info("serve: the stored route is followed again", "model", f.m.name)
	}
}
