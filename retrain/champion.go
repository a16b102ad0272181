package retrain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
)

// firstCause is the trigger of a first fit.
const firstCause = "first"

// ensureChampion returns the champion's version, after finishing what an
// earlier life decided, and fitting a first champion where there is none.
func (l *Loop) ensureChampion(ctx context.Context, now time.Time) (int64, error) {
	if err := l.finishPending(ctx); err != nil {
		return 0, err
	}
	history, err := l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
	if err != nil {
		return 0, err
	}
	alias, err := l.registry(now).Alias(ctx, l.config.Model, registry.Champion)
	switch {
	case errors.Is(err, ErrNotFound):
		return l.firstChampion(ctx, now, history)
	case err != nil:
		return 0, err
	case len(history) == 0:
		err = l.adopt(ctx, now, alias.Version)
	default:
		if last := history[len(history)-1]; last.Champion == 0 && !last.Stage.Final() {
			err = l.apply(ctx, now, transition{Next: last.in(Rejected, 0), Reason: fmt.Sprintf("version %d was made champion by hand", alias.Version)})
		}
	}
	if err == nil {
		l.history.Store(nil) // it is needed no more
	}
	return alias.Version, err
}

// adopt takes over a model whose champion was made before the loop's first
// step: histories begin with a promotion.
func (l *Loop) adopt(ctx context.Context, now time.Time, version int64) error {
	if err := l.followAlias(ctx, version); err != nil {
		return err
	}
	r := Retraining{Model: l.config.Model, Version: version, Stage: Promoted, StartedAt: now, StageSince: now, EndedAt: now}
	r.ID = r.id()
	r.Causes = []Cause{{Trigger: firstCause, Detail: "the registry had a champion"}}
	return l.record(ctx, transition{Next: r, Reason: "the registry says so", Now: now})
}

// firstChampion fits and promotes a first champion, and returns its version.
func (l *Loop) firstChampion(ctx context.Context, now time.Time, history []Retraining) (int64, error) {
	r, err := l.firstFit(ctx, now, history)
	if err != nil {
		return 0, err
	}
	if err := l.config.Stores.Retrain.PutRetraining(ctx, r); err != nil {
		return 0, err
	}
	out, err := l.runFit(ctx, r)
	if err != nil {
		if !putOff(ctx, err) {
			r.Error = err.Error()
			err = errors.Join(fmt.Errorf("the first fit failed: %w", err), l.apply(ctx, now, transition{Next: r.in(Failed, 0), Reason: r.Error}))
		}
		return 0, err
	}
	r.add(out)
	if err := l.apply(ctx, r.StartedAt, transition{Next: r.in(Promoted, 0), Reason: "the first fit"}); err != nil {
		return 0, err
	}
	l.history.Store(nil)
	return r.Version, nil
}

// firstFit returns the first fit that is under way, or a new one. A new one is
// begun only when there are rows to fit on: until then nothing is amiss.
func (l *Loop) firstFit(ctx context.Context, now time.Time, history []Retraining) (Retraining, error) {
	r := Retraining{Model: l.config.Model, Stage: Fitting, StartedAt: now, StageSince: now, Causes: []Cause{{Trigger: firstCause, Detail: "there is no champion"}}}
	if n := len(history); n > 0 {
		last := history[n-1]
		switch {
		case last.Stage.Final():
		case last.Champion == 0: // a life before this one began it
			return last, nil
		default:
			if err := l.apply(ctx, now, transition{Next: last.in(Rejected, 0), Reason: "the champion's alias was deleted by hand"}); err != nil {
				return r, err
			}
		}
		if l.config.Policy.stopped(history, l.memory.ResumedAt) {
			return r, fault.Errorf(fault.Conflict, "there is no champion, and %d fits in a row failed: look at Retrainings, then call Resume", failuresInARow(history, l.memory.ResumedAt))
		}
		r.Number = last.Number + 1
	}
	r.ID = r.id()
	if _, err := l.validate(ctx, l.fitInput(r)); err != nil {
		return r, fmt.Errorf("there is no champion, and nothing to fit one on: %w", err)
	}
	return r, nil
}

// followAlias makes the server answer with the version that the champion alias
// names when a person has moved it, or another process the route.
func (l *Loop) followAlias(ctx context.Context, champion int64) error {
	route, err := l.server.Route(ctx, l.config.Model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if route.Primary != champion {
		return l.setRoute(ctx, serve.Route{Model: l.config.Model, Primary: champion})
	}
	return l.server.Sync(ctx)
}
