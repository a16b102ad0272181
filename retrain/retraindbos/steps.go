package retraindbos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// steps runs the steps of one try.
type steps struct {
	engine *Engine
	run    *run
	dbos   dbos.Context
	awaits map[string]int // how often each topic was awaited
	taken  map[string]int // how many of its signals were
}

func newSteps(e *Engine, r *run, c dbos.Context) *steps {
	return &steps{e, r, c, make(map[string]int), make(map[string]int)}
}

// own marks the records that a workflow's Sleep and Await make. Names of steps
// that begin with it have it doubled, so that the two never meet.
const own = "~"

// Do implements retrain.Steps.
func (s *steps) Do(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error), o *retrain.StepOptions) ([]byte, error) {
	if strings.HasPrefix(name, own) {
		name = own + name
	}
	return s.once(ctx, name, func(ctx context.Context) ([]byte, error) {
		return o.Run(ctx, func(ctx context.Context) ([]byte, error) {
			return guarded(s.engine.report(s.run.id), func() ([]byte, error) { return fn(ctx) })
		})
	})
}

// once returns what is recorded under the name, or runs fn and records it.
func (s *steps) once(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	o, ok := s.run.step(name)
	if !ok {
		var err error
		if o, err = s.record(ctx, name, fn); err != nil {
			return nil, fmt.Errorf("step %s: %w", name, err)
		}
	}
	r := o.result()
	return r.Output, r.Err
}

func (r *run) step(name string) (outcome, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.recorded[name]
	return o, ok
}

// record runs a step and records it. An error is that of the engine, or of a step
// that was cut off.
func (s *steps) record(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error)) (outcome, error) {
	if cause := context.Cause(s.run.ctx); cause != nil {
		return outcome{}, s.run.cutBy(cause)
	}
	ctx, stop := s.bound(ctx)
	defer stop()
	o, err := dbos.RunAsStep(s.dbos, func(context.Context) (outcome, error) {
		output, err := fn(ctx)
		if cause := context.Cause(s.run.ctx); err != nil && cause != nil {
			return outcome{}, cause
		}
		return outcomeOf(output, err), nil
	}, dbos.WithStepName(name))
	if err != nil {
		return outcome{}, s.run.cutBy(s.cause(err))
	}
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	s.run.recorded[name] = o
	return o, nil
}

// bound returns a context that ends with the workflow's own too, with its cause.
func (s *steps) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.run.ctx, func() { cancel(context.Cause(s.run.ctx)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// cause says why DBOS recorded nothing for a step, which says nothing about the work.
func (s *steps) cause(err error) error {
	if errors.Is(err, dbos.ErrConflictingWorkflowID) || errors.Is(err, dbos.ErrWorkflowCancelled) {
		s.run.cancel(errLost)
	}
	if cause := context.Cause(s.run.ctx); cause != nil {
		return cause
	}
	return sqlstore.Fault(err)
}

// Sleep implements retrain.Steps. The clock is the process's own: after a change
// of machine it may be off by as much as their clocks differ.
func (s *steps) Sleep(ctx context.Context, name string, d time.Duration) error {
	until, err := s.deadline(ctx, own+"sleep/"+name, d)
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	_, err = s.wait(ctx, timer.C, nil, nil)
	return err
}

// deadline records, once, when d will have passed.
func (s *steps) deadline(ctx context.Context, name string, d time.Duration) (time.Time, error) {
	var until time.Time
	text, err := s.once(ctx, name, func(context.Context) ([]byte, error) { return time.Now().Add(d).UTC().MarshalText() })
	if err != nil {
		return until, err
	}
	if err := until.UnmarshalText(text); err != nil {
		return until, fault.Errorf(fault.Corrupt, "step %s: %v", name, err)
	}
	return until, nil
}

// wait returns when it is time to look, with passed when late came.
func (s *steps) wait(ctx context.Context, late <-chan time.Time, more <-chan struct{}, poll <-chan time.Time) (passed bool, err error) {
	select {
	case <-more:
		return false, nil
	case <-poll:
		return false, nil
	case <-late:
		return true, nil
	case <-ctx.Done():
		if s.run.ctx.Err() == nil {
			return false, context.Cause(ctx) // the workflow's own deadline
		}
	case <-s.run.ctx.Done():
	}
	return false, s.run.cutBy(context.Cause(s.run.ctx))
}
