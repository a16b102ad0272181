package retraindbos

import (
	"context"
	"fmt"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

// The look at a signal that another process may have sent comes this often at
// first, then less and less. A signal sent in this process is seen at once.
const (
	firstSignalPoll = 100 * time.Millisecond
	lastSignalPoll  = 2 * time.Second
)

// Await implements retrain.Steps. It sees a signal that was sent in this process
// at once, and one of another process within 2 s.
func (s *steps) Await(ctx context.Context, topic string, timeout time.Duration) ([]byte, bool, error) {
	s.awaits[topic]++
	name := fmt.Sprintf("%sawait/%s/%d", own, topic, s.awaits[topic])
	var until time.Time
	if _, known := s.run.step(name); timeout > 0 && !known {
		var err error
		if until, err = s.deadline(ctx, name+"/until", timeout); err != nil {
			return nil, false, err
		}
	}
	took, ok := s.run.step(name)
	if !ok {
		waiting, stop := s.bound(ctx)
		defer stop()
		record, err := s.signal(waiting, topic, until)
		if err != nil {
			return nil, false, err
		}
		if took, err = s.record(ctx, name, func(context.Context) ([]byte, error) { return record, nil }); err != nil {
			return nil, false, err
		}
	}
	if len(took.Output) == 0 {
		return nil, false, nil
	}
	s.taken[topic]++
	return took.Output[1:], true, nil
}

// signal waits for the next signal of the topic, and returns it with a byte
// before it; nothing when the time passes first. Zero: no limit.
func (s *steps) signal(ctx context.Context, topic string, until time.Time) ([]byte, error) {
	var late <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		late = timer.C
	}
	passed := false
	for poll := firstSignalPoll; ; poll = min(2*poll, lastSignalPoll) {
		more := s.engine.signals() // before the look, so that none is missed
		data, ok, err := s.look(ctx, topic)
		switch {
		case err != nil:
			return nil, err
		case ok:
			return append([]byte{1}, data...), nil
		case passed:
			return nil, nil
		}
		if passed, err = s.wait(ctx, late, more, time.After(poll)); err != nil {
			return nil, err
		}
	}
}

// look is one look at the next signal. An error that is not the context's own is
// the database's: the workflow is cut off and goes on later.
func (s *steps) look(ctx context.Context, topic string) (data []byte, ok bool, err error) {
	root, err := s.engine.started()
	if err == nil {
		type signal struct {
			data []byte
			ok   bool
		}
		var found signal
		found, err = within(ctx, root, func(c dbos.Context) (signal, error) {
			data, ok, err := received(c, s.run.id, topic, s.taken[topic]+1)
			return signal{data, ok}, err
		})
		data, ok = found.data, found.ok
	}
	switch cause := context.Cause(s.run.ctx); {
	case err == nil:
		return data, ok, nil
	case cause != nil:
		return nil, false, s.run.cutBy(cause)
	case ctx.Err() != nil:
		return nil, false, context.Cause(ctx)
	}
	return nil, false, s.run.cutBy(err)
}
