package retrain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
)

// Retrain asks for a retraining at the next step that the policy permits; it
// waits for no back-off. The request is durable.
func (l *Loop) Retrain(ctx context.Context, reason string) error {
	return l.steer(ctx, "ask for a retraining of", func(context.Context, time.Time) error {
		l.memory.Manual = &request{Reason: reason, After: l.memory.Ledger.Next - 1}
		return nil
	})
}

// ResetFailures forgives the failures so far: a loop that MaxFailures had
// stopped starts retrainings again, and none waits for a back-off.
func (l *Loop) ResetFailures(ctx context.Context) error {
	return l.steer(ctx, "reset the failures of", func(ctx context.Context, now time.Time) error {
		l.memory.Ledger.forgive()
		l.memory.forget("suppressed/stopped")
		return l.report(ctx, Event{Time: now, Kind: EventForgiven, Key: fmt.Sprintf("forgiven/%d", now.UnixMilli()), Text: "the failures so far count no more"})
	})
}

// Pause has the loop serve and watch, but start and move nothing, until
// Unpause. A fit that runs goes on, and is looked at afterwards. Moving the
// champion's alias moves the traffic all the same.
func (l *Loop) Pause(ctx context.Context, reason string) error {
	return l.steer(ctx, "pause", func(ctx context.Context, now time.Time) error { return l.pause(ctx, now, reason) })
}

func (l *Loop) pause(ctx context.Context, now time.Time, reason string) error {
	if l.memory.Paused == nil {
		l.memory.Paused = &pause{Since: now}
	}
	l.memory.Paused.Reason = reason
	return l.report(ctx, Event{Time: now, Kind: EventPaused, Key: fmt.Sprintf("paused/%d", now.UnixMilli()), Text: "paused: " + reason})
}

// Unpause ends a Pause. What a stage waited for meanwhile counts.
func (l *Loop) Unpause(ctx context.Context) error {
	return l.steer(ctx, "unpause", func(ctx context.Context, now time.Time) error {
		if l.memory.Paused == nil {
			return nil
		}
		l.memory.Paused = nil
		l.memory.forget(topicHarm)
		return l.report(ctx, Event{Time: now, Kind: EventUnpaused, Key: fmt.Sprintf("unpaused/%d", now.UnixMilli()), Text: "no longer paused"})
	})
}

// RollBack takes the newest model back, and pauses. A challenger in shadow or
// canary gets no traffic any more, and a fit under way is given up; without
// either, the champion's predecessor becomes champion again. Errors: Conflict
// when there is no predecessor.
func (l *Loop) RollBack(ctx context.Context, reason string) error {
	// A second try, after another's write came between, takes nothing more back.
	var taken bool
	var ending *Retraining
	return l.steer(ctx, "roll back", func(ctx context.Context, now time.Time) error {
		var err error
		switch {
		case taken:
		case ending != nil && l.memory.Attempt == nil:
			err = l.wasTakenBack(ctx, *ending)
		default:
			if a := l.memory.Attempt; a != nil {
				ending = &a.Retraining
			}
			err = l.takeBack(ctx, now, reason)
		}
		if err != nil {
			return err
		}
		taken = true
		return l.pause(ctx, now, "rolled back: "+reason)
	})
}

// wasTakenBack looks how a retraining ended that was to be rolled back while
// another process wrote, too.
func (l *Loop) wasTakenBack(ctx context.Context, r Retraining) error {
	now, found, err := l.recorded(ctx, r.Number)
	if err == nil && (!found || now.Stage != RolledBack) {
		err = fault.Errorf(fault.Conflict, "retraining %s ended at the same time and is %s: look again", r.ID, now.Stage)
	}
	return err
}

// takeBack ends the retraining under way, or makes the champion's predecessor
// champion again.
func (l *Loop) takeBack(ctx context.Context, now time.Time, reason string) error {
	if err := l.finishPending(ctx); err != nil {
		return err
	}
	if a := l.memory.Attempt; a != nil {
		return l.move(ctx, now, a.Retraining, decision{Next: RolledBack, Reason: "by hand: " + reason})
	}
	champion, err := l.align(ctx, now)
	if err != nil {
		return err
	}
	made, err := l.origin(ctx, champion)
	if err != nil {
		return err
	}
	if champion == 0 || made.Champion == 0 {
		return fault.Errorf(fault.Conflict, "version %d has no predecessor on record: call Promote with the version that is to answer", champion)
	}
	return l.promote(ctx, now, made.Champion, "rolled back: "+reason)
}

// Promote makes a version champion at once, without gates, and gives up a
// retraining that is under way. Errors: NotFound; those of loading the version,
// and then nothing is moved.
func (l *Loop) Promote(ctx context.Context, version int64, reason string) error {
	return l.steer(ctx, "promote", func(ctx context.Context, now time.Time) error {
		if err := l.finishPending(ctx); err != nil {
			return err
		}
		return l.promote(ctx, now, version, reason)
	})
}

// promote moves the alias and the traffic, and ends what is under way.
func (l *Loop) promote(ctx context.Context, now time.Time, version int64, reason string) error {
	models := l.registry(now)
	v, err := models.Version(ctx, l.config.Model, version)
	if err != nil {
		return err
	}
	b, _, err := models.Load(ctx, registry.VersionRef(l.config.Model, version))
	if err != nil {
		return err
	}
	p, err := l.load(b)
	if err != nil {
		return fmt.Errorf("version %d: %w", version, err)
	}
	closePredictor(p)
	alias, err := models.Alias(ctx, l.config.Model, registry.Champion)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	change := registry.Change{Reason: "by hand: " + reason, Token: alias.Seq}
	if v.State != registry.Approved {
		if err := models.SetState(ctx, l.config.Model, version, v.State, registry.Approved, change); err != nil {
			return err
		}
	}
	if _, err := models.Promote(ctx, l.config.Model, version, alias.Version, change); err != nil {
		return err
	}
	champion, err := l.align(ctx, now)
	if err != nil {
		return err
	}
	if a := l.memory.Attempt; a != nil {
		if d, over := decideByHand(facts{Now: now, Retraining: a.Retraining, Champion: champion}); over {
			return l.move(ctx, now, a.Retraining, d)
		}
	}
	return nil
}

// steer carries out a person's wish and stores it. It waits for a step that is
// under way. It may be asked of any process: one that does not lead writes under
// the leader's token, in between that one's writes. Errors: those of do; Conflict
// when the leader wrote at the same time, each time that it was tried.
func (l *Loop) steer(ctx context.Context, op string, do func(ctx context.Context, now time.Time) error) error {
	return l.alone(ctx, op, func(ctx context.Context) error {
		var leads bool
		var err error
		for range steerTries {
			if leads, err = l.open(ctx); err != nil {
				return err
			}
			if err = do(ctx, timestamp(l.config.Now())); err == nil {
				err = l.putState(ctx)
			}
			l.status.see(l)
			if leads || !errors.Is(err, ErrConflict) {
				break
			}
		}
		return err
	})
}

// steerTries is how often a wish that another process's leader wrote beside is
// tried: a step writes a few times.
const steerTries = 3
