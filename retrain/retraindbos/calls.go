package retraindbos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// within calls fn with a DBOS context that ends with ctx too, and returns when
// fn does or ctx ends: DBOS tries again for as long as its database is locked.
func within[T any](ctx context.Context, root dbos.Context, fn func(c dbos.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	c, cancel := dbos.WithCancel(root)
	stop := context.AfterFunc(ctx, cancel)
	type reply struct {
		value T
		err   error
	}
	replies := make(chan reply, 1)
	go func() {
		defer cancel()
		defer stop()
		value, err := fn(c)
		replies <- reply{value, err}
	}()
	select {
	case r := <-replies:
		if r.err != nil && ctx.Err() != nil {
			return zero, ctx.Err()
		}
		return r.value, sqlstore.Fault(r.err)
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// Start implements retrain.Engine. What an earlier life or another process left
// unfinished goes on here; what another live process runs is left to it.
func (e *Engine) Start(ctx context.Context, name, id string, input []byte) error {
	root, err := e.started()
	if err == nil {
		e.mu.Lock()
		_, known := e.workflows[name]
		e.mu.Unlock()
		if !known {
			err = fault.Errorf(fault.NotFound, "workflow %q is not registered", name)
		}
	}
	if err == nil {
		_, err = within(ctx, root, func(c dbos.Context) (struct{}, error) {
			_, err := e.resume(c, id, &call{Name: name, Input: input})
			return struct{}{}, err
		})
	}
	if err != nil {
		return fmt.Errorf("retraindbos: start %s: %w", id, e.orClosed(err))
	}
	return nil
}

// Result implements retrain.Engine.
func (e *Engine) Result(ctx context.Context, id string) (retrain.Result, error) {
	r, err := e.look(ctx, id)
	if err != nil {
		return retrain.Result{}, fmt.Errorf("retraindbos: result of %s: %w", id, e.orClosed(err))
	}
	return r, nil
}

func (e *Engine) look(ctx context.Context, id string) (retrain.Result, error) {
	root, err := e.started()
	if err != nil {
		return retrain.Result{}, err
	}
	return within(ctx, root, func(c dbos.Context) (retrain.Result, error) {
		last, err := lastTry(c, id)
		if err != nil {
			return retrain.Result{}, err
		}
		return resultOf(last)
	})
}

// pollInterval is how often Wait looks for the end of a workflow that does not
// run here.
const pollInterval = 100 * time.Millisecond

// Wait implements retrain.Engine.
func (e *Engine) Wait(ctx context.Context, id string) (retrain.Result, error) {
	for first := true; ; first = false {
		here, ended := e.runOf(id)
		if here == nil || !first { // what runs here has not ended
			r, err := e.look(ctx, id)
			switch {
			case err != nil:
				return retrain.Result{}, fmt.Errorf("retraindbos: wait for %s: %w", id, e.orClosed(err))
			case r.Done:
				return r, nil
			}
		}
		poll := pollInterval
		if here != nil {
			poll = 10 * pollInterval // another process may cancel it
		}
		select {
		case <-ended:
			if r := here.result(); r.Done {
				return r, nil
			}
		case <-time.After(poll):
		case <-ctx.Done():
			return retrain.Result{}, ctx.Err()
		case <-e.ended:
			return retrain.Result{}, fault.Errorf(fault.Closed, "retraindbos: wait for %s: the engine is closed", id)
		}
	}
}

// runOf returns the execution here and what is closed when it ends; nil where
// there is none, or one whose context has ended.
func (e *Engine) runOf(id string) (*run, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.running[id]; r != nil && r.begun() && r.ctx.Err() == nil {
		return r, r.ended
	}
	return nil, nil
}

// result is what DBOS recorded for the workflow, if this execution ended it.
func (r *run) result() retrain.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcome == nil {
		return retrain.Result{}
	}
	return r.outcome.result()
}

// orClosed returns Closed in the place of what Close made a call fail with.
func (e *Engine) orClosed(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed && !errors.Is(err, fault.Closed) {
		return fault.Errorf(fault.Closed, "the engine is closed: %w", err)
	}
	return err
}
