package retrain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
)

// align makes the server answer as the champion's alias and the retraining
// under way say, and returns the version that the alias names, 0 for none. It is
// all that moves traffic: a person's move of the alias holds, whatever else fails.
func (l *Loop) align(ctx context.Context, now time.Time) (int64, error) {
	l.unroutable = ""
	alias, err := l.registry(now).Alias(ctx, l.config.Model, registry.Champion)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return l.memory.Followed, err
	}
	l.alias = alias.Seq
	if alias.Version == 0 {
		return 0, nil // whoever answers goes on
	}
	// What a decided transition wants of the route is carried out with it.
	if l.memory.Pending == nil {
		if err := l.setRoute(ctx, l.routeFor(alias.Version, l.memory.Attempt)); err != nil {
			return alias.Version, err
		}
	}
	return alias.Version, l.noteChampion(ctx, now, alias.Version)
}

// routeFor is the route under a champion with a challenger in its stage. A
// challenger of another champion gets no traffic.
func (l *Loop) routeFor(champion int64, a *attempt) serve.Route {
	want := serve.Route{Model: l.config.Model, Primary: champion}
	if a == nil || a.Retraining.Champion != champion || a.Retraining.Version == champion {
		return want
	}
	switch r := a.Retraining; r.Stage {
	case Shadowing:
		want.Shadow = r.Version
	case Canarying:
		want.Canary, want.Share, want.Salt = r.Version, l.terms.Rollout.weight(r.Weight), r.ID
	}
	return want
}

// setRoute makes want the route; one that is the route already changes nothing.
// When the challenger cannot be loaded, the primary alone is routed: a
// challenger never keeps the champion from answering.
func (l *Loop) setRoute(ctx context.Context, want serve.Route) error {
	err := l.trySetRoute(ctx, want)
	if err == nil || (want.Canary == 0 && want.Shadow == 0) || errors.Is(err, ErrConflict) || ctx.Err() != nil {
		return err
	}
	alone := l.trySetRoute(ctx, serve.Route{Model: want.Model, Primary: want.Primary})
	if alone == nil && !errors.Is(err, ErrUnavailable) && !isClosed(err) {
		l.unroutable = fmt.Sprintf("the challenger cannot be routed: %v", err)
	}
	return errors.Join(fmt.Errorf("the challenger cannot be routed: %w", err), alone)
}

func (l *Loop) trySetRoute(ctx context.Context, want serve.Route) error {
	current, err := l.server.Route(ctx, l.config.Model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if want.Canary == 0 {
		want.Share, want.Salt = 0, ""
	}
	want.Rev, want.Token = current.Rev, current.Token
	if want == current && slices.Contains(l.server.Models(), want.Model) { // else this life has not taken it up
		return l.server.Sync(ctx)
	}
	want.Token = l.token
	if err = l.server.SetRoute(ctx, want); errors.Is(err, ErrConflict) {
		return errors.Join(err, l.stillLeads(ctx)) // a person was quicker, or another process leads
	}
	return err
}

// noteChampion reports a champion that a person has made.
func (l *Loop) noteChampion(ctx context.Context, now time.Time, champion int64) error {
	before := l.memory.Followed
	if before == champion {
		return nil
	}
	l.history.Store(nil) // it is needed no more
	l.memory.Followed = champion
	if p := l.memory.Pending; p != nil && p.Next.Version == champion {
		return nil // the loop's own promotion, cut off before its record
	}
	text := fmt.Sprintf("version %d is the champion: the registry says so", champion)
	if before != 0 {
		text = fmt.Sprintf("version %d was made champion by hand in the place of version %d", champion, before)
	}
	if l.memory.Ledger.First.IsZero() {
		l.memory.Ledger.First, l.memory.Ledger.LastStart = now, now
	}
	return l.report(ctx, Event{Time: now, Kind: EventByHand, Key: fmt.Sprintf("by_hand/%d/%d", champion, now.UnixMilli()), Text: text})
}
