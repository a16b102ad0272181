package retrain

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Step brings the loop to the time now: the traffic follows the champion's
// alias, the prediction log is made durable and read, labels are fetched, drift
// is checked, a rollout is moved on, a fit is begun or looked at, and a
// retraining is begun when a trigger wants one and the policy permits it. It
// waits for no fit: Settle does. It returns when all of that is durable. Run
// again with the same now, a step that was completed does nothing, and one that
// was cut off comes to the same end.
//
// Parts that fail do not keep the others from being done: the error joins all
// of them, and Status and an event tell of each. A now that lies before the last
// step is taken for a clock that was set back.
//
// Of all processes that step the loop one leads. A Step of another one follows the
// route, makes what it answered durable, does nothing else and returns nil: Status
// says so. One that loses the lead in the middle of a step stores nothing of it
// any more and returns a Conflict.
func (l *Loop) Step(ctx context.Context, now time.Time) error {
	now = timestamp(now)
	return l.alone(ctx, "step", func(ctx context.Context) error {
		err := l.stepOrFollow(ctx, now)
		l.status.see(l)
		if err != nil {
			return fmt.Errorf("at %s: %w", now.Format(time.RFC3339), err)
		}
		return nil
	})
}

// part is a piece of a step that may fail without stopping the others.
type part struct {
	name string // what it is called in events and Status
	do   func(ctx context.Context, now time.Time) error
}

// stepOrFollow steps where this process leads, and only follows where it does not.
func (l *Loop) stepOrFollow(ctx context.Context, now time.Time) error {
	leads, err := l.open(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.status.fail(l.config.Now(), partStores, err)
		}
		return errors.Join(err, l.follow(ctx))
	}
	if !leads {
		l.status.succeed(partStores)
		return l.follow(ctx)
	}
	l.status.steps()
	held, stop := l.leads.hold(ctx)
	defer stop()
	if err = l.step(held, now); err != nil && l.deposed(ctx, held, now, err) {
		return errors.Join(err, l.follow(ctx))
	}
	return err
}

func (l *Loop) step(ctx context.Context, now time.Time) error {
	if now.Equal(l.state.SteppedAt) && !l.memory.Unfinished {
		return nil
	}
	if ignore, err := l.watchClock(ctx, now); ignore || err != nil {
		if err != nil && ctx.Err() == nil {
			l.status.fail(l.config.Now(), partStores, err)
		}
		return err
	}
	champion := l.memory.Followed // unless the registry says otherwise: what cannot be asked has not been deleted
	errs := l.doParts(ctx, now, []part{
		{partAlias, func(ctx context.Context, now time.Time) (err error) {
			champion, err = l.align(ctx, now)
			return err
		}},
		{partPending, func(ctx context.Context, _ time.Time) error { return l.finishPending(ctx) }},
		{partLog, func(ctx context.Context, _ time.Time) error { return l.server.Flush(ctx) }},
		{partLabels, l.fetchLabels},
		{partWatch, func(ctx context.Context, now time.Time) error { return l.watch(ctx, now) }},
		{partAdvance, func(ctx context.Context, now time.Time) error { return l.advance(ctx, now, champion) }},
		{partRetention, l.retain},
	})
	if ctx.Err() != nil {
		return errors.Join(append(errs, context.Cause(ctx))...) // the step was cut off: it is run again
	}
	if err := errors.Join(errs...); errors.Is(err, errDeposed) || errors.Is(err, errOvertaken) {
		return err
	}
	l.status.seeStep(l.waits(now, l.memory.Followed), l.backlog(ctx))
	before := l.state.SteppedAt
	l.state.SteppedAt, l.memory.Unfinished = now, len(errs) > 0
	err := l.putState(ctx)
	if err != nil {
		l.state.SteppedAt = before // the step was not completed
	}
	return errors.Join(append(errs, err, l.noteState(ctx, now, err))...)
}

// noteState tells of a state that cannot be stored, and of the end of that. The
// memory does not remember that it could not be stored: Status does. That another
// was quicker is no failure.
func (l *Loop) noteState(ctx context.Context, now time.Time, err error) error {
	if errors.Is(err, ErrConflict) {
		return nil
	}
	key := fmt.Sprintf("failing/%s/%d", partState, now.UnixMilli())
	switch {
	case err == nil && l.status.succeed(partState):
		return l.report(ctx, Event{Time: now, Kind: EventStepRecovered, Key: key + "/recovered", Text: partState + " works again"})
	case err != nil && ctx.Err() == nil && l.status.fail(now, partState, err):
		return l.report(ctx, Event{Time: now, Kind: EventStepFailing, Key: key, Text: fmt.Sprintf("%s fails, and is tried again at each step: %v", partState, err)})
	}
	return nil
}

// backlog is how much of the stored log no step has read.
func (l *Loop) backlog(ctx context.Context) Backlog {
	if !l.status.fails(partWatch) {
		return Backlog{}
	}
	before := l.status.snapshot().Backlog
	counts, err := l.config.Stores.Serve.Counts(ctx, l.config.Model)
	if err != nil {
		return before // its part tells of the error
	}
	read, err := l.config.Stores.Drift.Checkpoint(ctx, l.config.Model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return before
	}
	return Backlog{Rows: max(0, counts.LastSeq-read.PredictionSeq), Labels: max(0, counts.LastLabel-read.LabelSeq)}
}

// doParts does each part, and tells of those that fail and of those that work
// again. A panic of a part that the service brought is that part's error.
func (l *Loop) doParts(ctx context.Context, now time.Time, parts []part) []error {
	var errs []error
	for _, p := range parts {
		if ctx.Err() != nil {
			break
		}
		err := safely(func() error { return p.do(ctx, now) })
		if errors.Is(err, ErrConflict) {
			if other := l.stillLeads(ctx); errors.Is(other, errDeposed) {
				return append(errs, other) // what fails here is no failure: the leader does it
			}
		}
		if errors.Is(err, errOvertaken) {
			return append(errs, fmt.Errorf("%s: %w", p.name, err)) // nor here: the step is made again, on what is stored
		}
		if err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		if err := l.noteFailure(ctx, now, p.name, err); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// The parts of a step, as Status and events name them.
const (
	partFollow    = "follow the route" // of a process that does not lead
	partStores    = "stores"
	partState     = "state"
	partAlias     = "follow the alias"
	partPending   = "carry out what was decided"
	partLog       = "prediction log"
	partLabels    = "labels"
	partWatch     = "watch"
	partAdvance   = "advance"
	partRetention = "retention"
)

// stepParts are all of them, in their order.
func stepParts() []string {
	return []string{partFollow, partStores, partAlias, partPending, partLog, partLabels, partWatch, partAdvance, partRetention, partState}
}

// noteFailure keeps the count of a part's failures and reports the first of a
// cause, and the end of it.
func (l *Loop) noteFailure(ctx context.Context, now time.Time, name string, err error) error {
	topic := "failing/" + name
	if err == nil {
		l.status.succeed(name)
		if !l.memory.forget(topic) {
			return nil
		}
		err := l.report(ctx, Event{Time: now, Kind: EventStepRecovered, Key: fmt.Sprintf("%s/recovered/%d", topic, now.UnixMilli()), Text: name + " works again"})
		if err != nil {
			l.memory.once(topic) // the next step tells it
		}
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	l.status.fail(now, name, err)
	return l.tell(ctx, now, topic, EventStepFailing, "%s fails, and is tried again at each step: %v", name, err)
}

// watchClock deals with a now that does not follow the last step. It reports
// true when now is to be ignored: a little before it, as clocks are set by
// parts of a second all the time.
func (l *Loop) watchClock(ctx context.Context, now time.Time) (ignore bool, err error) {
	last := l.state.SteppedAt
	if last.IsZero() {
		return false, nil
	}
	key := fmt.Sprintf("clock/%d/%d", last.UnixMilli(), now.UnixMilli())
	switch gap := now.Sub(last); {
	case gap >= max(longGap, 10*l.config.Interval):
		l.retainAfter = now.Add(retentionDoubt) // no log is deleted by a clock that is a year ahead
		return false, l.report(ctx, Event{Time: now, Kind: EventClock, Key: key, Text: fmt.Sprintf("no step was made for %s: the loop did not run, or its clock was set ahead", gap)})
	case gap >= 0:
		return false, nil
	case gap > -l.config.Interval:
		return true, nil
	default:
		l.rewind(now)
		return false, l.report(ctx, Event{Time: now, Kind: EventClock, Key: key, Text: fmt.Sprintf("the clock was set back by %s, from %s: steps go on from here", -gap, last.Format(time.RFC3339))})
	}
}

// longGap is how long a pause between two steps has to be to be told.
const longGap = 48 * time.Hour

// rewind brings what lies after now back to now.
func (l *Loop) rewind(now time.Time) {
	l.memory.Ledger.rewind(now)
	if a := l.memory.Attempt; a != nil {
		rewindTimes(now, &a.Retraining.StartedAt, &a.Retraining.StageSince, &a.RolloutSince, &a.FitAfter, &a.FitStartedAt)
	}
	if t := l.memory.Pending; t != nil {
		rewindTimes(now, &t.Now, &t.Next.StartedAt, &t.Next.StageSince, &t.Next.EndedAt)
	}
	// Labels that become known from now on are stamped by the clock that was set back.
	rewindTimes(now, &l.memory.FirstSeen, &l.memory.Labels.KnownAt)
	l.retainAfter = time.Time{}
}

// rewindTimes moves those that lie after now to now.
func rewindTimes(now time.Time, times ...*time.Time) {
	for _, t := range times {
		if t.After(now) {
			*t = now
		}
	}
}
