package retrain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mlloop/mlloop/serve"
)

// Lead waits until this process leads the loop: of all processes that have a
// loop of one model on one database, one does, and its steps alone do something.
// A caller that steps the loop itself, and for whom every Step counts, such as a
// replay, calls it before; Run needs none. Errors: ctx's, the stores'.
func (l *Loop) Lead(ctx context.Context) error {
	for {
		var leads bool
		err := l.alone(ctx, "lead", func(ctx context.Context) (err error) {
			leads, err = l.open(ctx)
			return err
		})
		if err != nil || leads {
			return err
		}
		if err := sleep(ctx, l.leads.ttl/waitPart); err != nil {
			return fmt.Errorf("retrain: lead %s: %w", l.config.Model, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// open takes or renews the lease, reads the loop's state, which another process
// may have changed meanwhile, and reports whether this process leads. Writes that
// follow carry the lease's token, whoever holds it: what a person asks of a
// process that does not lead is done there, in between the leader's own writes.
func (l *Loop) open(ctx context.Context) (leads bool, err error) {
	l.restore(ctx)
	token, leads, err := l.leads.askUnlessFresh(ctx)
	if err != nil {
		return false, fmt.Errorf("the lease: %w", err)
	}
	l.token = token
	if leads {
		err = l.claim(ctx)
	}
	if err == nil {
		err = l.readState(ctx)
	}
	if err == nil {
		err = l.loadTerms(ctx)
	}
	if err != nil {
		return false, err
	}
	l.status.see(l)
	return leads, nil
}

// restore takes up the route that is stored, once a life.
func (l *Loop) restore(ctx context.Context) {
	if l.restored {
		return
	}
	if err := l.server.Restore(ctx, l.config.Model); err != nil && !errors.Is(err, ErrNotFound) {
		// A challenger that cannot be loaded, say: the step sees what the alias names.
		l.config.Logger.ErrorContext(ctx, "the route of the last life cannot be taken up", "model", l.config.Model, "error", err)
		return
	}
	l.restored = true
}

// claim writes the state, the route and the checkpoint under the token of this
// term, once: what the former leader still has in hand is refused from then on,
// even by a store that cannot look at the lease.
func (l *Loop) claim(ctx context.Context) error {
	if l.claimed == l.token {
		return nil
	}
	for _, part := range []struct {
		name string
		do   func(ctx context.Context) error
	}{{"state", l.claimState}, {"route", l.claimRoute}, {"checkpoint", l.claimCheckpoint}} {
		if err := l.untilMine(ctx, part.do); err != nil {
			return fmt.Errorf("take over the %s: %w", part.name, err)
		}
	}
	if err := l.config.Stores.Engine.Launch(ctx); err != nil {
		return err
	}
	l.watcher, l.fitSeen, l.poked = nil, "", "" // another may have stepped since
	l.claimed = l.token
	l.config.Logger.InfoContext(ctx, "this process leads the loop", "model", l.config.Model, "token", l.token)
	return l.noteConfig(ctx)
}

// claimTries is how often a claim is tried against a former leader's last write,
// which may come between reading and writing: one of it can.
const claimTries = 5

// untilMine repeats a compare-and-set that another's write came before.
func (l *Loop) untilMine(ctx context.Context, write func(ctx context.Context) error) error {
	var err error
	for range claimTries {
		if err = write(ctx); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return err
}

func (l *Loop) claimState(ctx context.Context) error {
	if err := l.readState(ctx); err != nil || l.state.Token == l.token {
		return err
	}
	return l.putState(ctx)
}

func (l *Loop) claimRoute(ctx context.Context) error {
	r, err := l.config.Stores.Serve.Route(ctx, l.config.Model)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil || r.Token >= l.token: // a higher one than ours is seen by the lease
		return err
	}
	r.Rev, r.Token = r.Rev+1, l.token
	return l.config.Stores.Serve.PutRoute(ctx, r)
}

func (l *Loop) claimCheckpoint(ctx context.Context) error {
	c, err := l.config.Stores.Drift.Checkpoint(ctx, l.config.Model)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil || c.Token >= l.token:
		return err
	}
	c.Rev, c.Token = c.Rev+1, l.token
	return l.config.Stores.Drift.Save(ctx, c, nil)
}

// follow is the step of a process that does not lead: it answers as the stored
// route says, and stores what it answered.
func (l *Loop) follow(ctx context.Context) error {
	err := errors.Join(followRoute(ctx, l.server, l.config.Model), l.server.Flush(ctx))
	l.status.onlyFollows()
	if err == nil {
		l.status.succeed(partFollow)
	} else if ctx.Err() == nil {
		l.status.fail(l.config.Now(), partFollow, err)
	}
	return err
}

// followRoute brings the server to the stored route, once.
func followRoute(ctx context.Context, server *serve.Server, model string) error {
	if slices.Contains(server.Models(), model) {
		return server.Sync(ctx)
	}
	if err := server.Restore(ctx, model); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil // there is no champion yet
}

// deposed says whether a step ended because another process has taken over, and
// if so tells it: one event a term.
func (l *Loop) deposed(ctx, held context.Context, now time.Time, err error) bool {
	if ctx.Err() != nil || (!errors.Is(err, ErrConflict) && !errors.Is(context.Cause(held), errDeposed)) {
		return false
	}
	if leads, asked := l.leads.take(ctx); leads || asked != nil {
		return false // a person's change, or another's on a person's behalf
	}
	lease, _ := l.leads.view()
	note := l.report(ctx, Event{
		Time: now, Kind: EventDeposed, Key: fmt.Sprintf("deposed/%d", l.claimed),
		Text: fmt.Sprintf("a process lost the lead while it stepped, and serves on: its lease (token %d) was not renewed in time, %s leads now (token %d)", l.claimed, lease.Holder, lease.Token),
	})
	if note != nil {
		l.config.Logger.ErrorContext(ctx, "that the lead was lost cannot be stored", "model", l.config.Model, "error", note)
	}
	return true
}

// stillLeads asks the store who leads, before what a Conflict means is decided:
// another loop's write is no person's. Errors: Conflict when another process leads.
func (l *Loop) stillLeads(ctx context.Context) error {
	if _, err := l.leads.take(ctx); err != nil {
		return err
	}
	if lease, _ := l.leads.view(); lease.Token != l.token {
		return fmt.Errorf("%w: %s, with token %d (%w)", errDeposed, lease.Holder, lease.Token, ErrConflict)
	}
	return nil
}
