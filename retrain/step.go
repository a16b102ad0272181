package retrain

import (
	"context"
	"fmt"
	"time"
)

// Step brings the loop to the time now: it makes the prediction log durable,
// checks for drift, moves a rollout on, and starts a retraining when a trigger
// wants one and the policy permits it. It returns when all of that is durable.
// Steps go forward in time; one that was completed before does nothing. A step
// that was cut off, run again with the same now, comes to the same end.
//
// Without a champion, Step fits a first one. While there are no rows to fit one
// on, it says so in an Invalid error, and the next Step tries again.
func (l *Loop) Step(ctx context.Context, now time.Time) error {
	now = timestamp(now)
	return l.alone(ctx, "step", func(ctx context.Context) error {
		if err := l.step(ctx, now); err != nil {
			return fmt.Errorf("at %s: %w", now.Format(time.RFC3339), err)
		}
		return nil
	})
}

func (l *Loop) step(ctx context.Context, now time.Time) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	if !now.After(l.state.SteppedAt) {
		return nil
	}
	// A step ends with one transition. When that was decided before the step was
	// cut off, all else was done before it.
	if p := l.memory.Pending; p != nil && p.Now.Equal(now) && p.Next.Champion != 0 {
		if err := l.finishPending(ctx); err != nil {
			return err
		}
		return l.completeStep(ctx, now)
	}
	champion, err := l.ensureChampion(ctx, now)
	if err != nil {
		return err
	}
	if err := l.server.Flush(ctx); err != nil {
		return err
	}
	if err := l.watch(ctx, now, champion); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	history, err := l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
	if err != nil {
		return err
	}
	if err := l.advance(ctx, now, champion, history); err != nil {
		return err
	}
	return l.completeStep(ctx, now)
}

func (l *Loop) completeStep(ctx context.Context, now time.Time) error {
	l.state.SteppedAt = now
	return l.putState(ctx)
}

// advance moves the last retraining on as far as it can come at now, or starts
// the next one.
func (l *Loop) advance(ctx context.Context, now time.Time, champion int64, history []Retraining) error {
	last := history[len(history)-1]
	switch {
	case last.Stage.Final():
		if err := l.followAlias(ctx, champion); err != nil {
			return err
		}
		return l.consider(ctx, now, history)
	case champion == last.Version:
		return l.apply(ctx, now, transition{Next: last.in(Promoted, 0), Reason: "it was made champion by hand"})
	case champion != last.Champion:
		return l.apply(ctx, now, transition{Next: last.in(Rejected, 0), Reason: fmt.Sprintf("version %d was made champion by hand", champion)})
	}
	return l.advanceStage(ctx, now, last)
}

func (l *Loop) advanceStage(ctx context.Context, now time.Time, r Retraining) error {
	switch r.Stage {
	case Fitting:
		return l.advanceFit(ctx, now, r)
	case Shadowing:
		return l.advanceShadow(ctx, now, r)
	case Canarying:
		return l.advanceCanary(ctx, now, r)
	}
	return nil
}
