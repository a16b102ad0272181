package retraintest

import (
	"context"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// steps runs the steps of one try; ctx is the workflow's own.
type steps struct {
	try *try
	ctx context.Context
}

// Do implements retrain.Steps.
func (s steps) Do(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error), o *retrain.StepOptions) ([]byte, error) {
	name = "do/" + name
	if r, ok := s.try.recorded(name); ok {
		return r.Output, r.Err
	}
	if s.ctx.Err() != nil {
		return nil, s.try.cutOff(context.Cause(s.ctx))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	output, err := o.Run(ctx, func(ctx context.Context) ([]byte, error) {
		return guarded(func() ([]byte, error) { return fn(ctx) })
	})
	if err != nil && s.ctx.Err() != nil {
		return nil, s.try.cutOff(err)
	}
	return s.try.keep(name, kept(output, err))
}

// Sleep implements retrain.Steps.
func (s steps) Sleep(ctx context.Context, name string, d time.Duration) error {
	late, stop, err := s.deadline("sleep/"+name, d)
	if err != nil {
		return err
	}
	defer stop()
	_, err = s.wait(ctx, late, nil)
	return err
}

// Await implements retrain.Steps.
func (s steps) Await(ctx context.Context, topic string, timeout time.Duration) ([]byte, bool, error) {
	s.try.awaits[topic]++
	name := fmt.Sprintf("await/%s/%d", topic, s.try.awaits[topic])
	if r, ok := s.try.recorded(name); ok {
		return s.taken(topic, r.Output)
	}
	var late <-chan time.Time
	if timeout > 0 {
		timer, stop, err := s.deadline("until/"+name, timeout)
		if err != nil {
			return nil, false, err
		}
		defer stop()
		late = timer
	}
	for {
		record, next := s.try.next(topic)
		if record == nil {
			passed, err := s.wait(ctx, late, next)
			switch {
			case err != nil:
				return nil, false, err
			case !passed:
				continue
			}
			record = []byte{0}
		}
		output, err := s.try.keep(name, retrain.Result{Done: true, Output: record})
		if err != nil {
			return nil, false, err
		}
		return s.taken(topic, output)
	}
}

// taken reads the record of an Await: 1 and the data, or 0 for none in time.
func (s steps) taken(topic string, record []byte) ([]byte, bool, error) {
	if record[0] == 0 {
		return nil, false, nil
	}
	s.try.taken[topic]++
	return record[1:], true, nil
}

// deadline records, once, when d will have passed, and returns a timer's channel
// for it.
func (s steps) deadline(name string, d time.Duration) (late <-chan time.Time, stop func() bool, err error) {
	until, err := time.Now().Add(d).MarshalBinary()
	if err != nil {
		return nil, nil, fmt.Errorf("step %s: %w", name, err)
	}
	if s.ctx.Err() != nil {
		return nil, nil, s.try.cutOff(context.Cause(s.ctx))
	}
	if until, err = s.try.keep(name, retrain.Result{Done: true, Output: until}); err != nil {
		return nil, nil, err
	}
	var at time.Time
	if err := at.UnmarshalBinary(until); err != nil {
		return nil, nil, fault.Errorf(fault.Corrupt, "step %s: %v", name, err)
	}
	timer := time.NewTimer(time.Until(at))
	return timer.C, timer.Stop, nil
}

// wait returns when there is something to look at, or when time has passed.
func (s steps) wait(ctx context.Context, late <-chan time.Time, next <-chan struct{}) (passed bool, err error) {
	select {
	case <-next:
		return false, nil
	case <-late:
		return true, nil
	case <-ctx.Done():
		if s.ctx.Err() == nil {
			return false, context.Cause(ctx) // the workflow's own deadline
		}
	case <-s.ctx.Done():
	}
	return false, s.try.cutOff(context.Cause(s.ctx))
}

// next returns the record of the signal that an Await takes next, or nil and
// what is closed when one more has come.
func (t *try) next(topic string) (record []byte, more <-chan struct{}) {
	t.records.mu.Lock()
	defer t.records.mu.Unlock()
	if sent := t.record.signals[topic]; len(sent) > t.taken[topic] {
		return append([]byte{1}, sent[t.taken[topic]]...), nil
	}
	return nil, t.record.signal
}

// cutOff notes that a step was cut off, to be run again in the next life.
func (t *try) cutOff(err error) error {
	t.records.mu.Lock()
	defer t.records.mu.Unlock()
	t.cut = true
	return err
}

func (t *try) recorded(name string) (retrain.Result, bool) {
	t.records.mu.Lock()
	defer t.records.mu.Unlock()
	r, ok := t.record.steps[name]
	return copied(r), ok
}

// keep records a step's result, the first of its name, while the try counts.
func (t *try) keep(name string, r retrain.Result) ([]byte, error) {
	t.records.mu.Lock()
	defer t.records.mu.Unlock()
	if t.record.try != t {
		return nil, fault.Errorf(fault.Closed, "step %s: this execution of the workflow has ended", name)
	}
	if _, ok := t.record.steps[name]; !ok {
		t.record.steps[name] = r
	}
	r = copied(t.record.steps[name])
	return r.Output, r.Err
}
