package retraintest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// NewEngine returns an Engine in memory, for consumers' tests: steps and results
// are remembered as long as it and its later lives do. It starts no goroutine but
// those of its workflows and waits on channels and timers alone, so that it works
// in the bubbles of testing/synctest.
func NewEngine() *Engine { return newLife(&records{byID: make(map[string]*record)}) }

// Engine is the in-memory retrain.Engine: one life of a process. It is safe for
// concurrent use.
type Engine struct {
	records *records
	life    context.Context // ends with Close and Restart: the workflows' own
	end     context.CancelCauseFunc

	mu        sync.Mutex // taken before records.mu
	workflows map[string]retrain.Workflow
	launched  bool
	closed    bool
	work      sync.WaitGroup // one for each workflow that runs
}

var _ retrain.Engine = (*Engine)(nil)

func newLife(r *records) *Engine {
	e := &Engine{records: r, workflows: make(map[string]retrain.Workflow)}
	e.life, e.end = context.WithCancelCause(context.Background())
	return e
}

// Restart kills this life, as SIGKILL would a process, and returns the engine of
// the next one, which has nothing registered and is not launched. Steps under
// way see their context end, and what they return is lost; what was recorded is
// kept, and unfinished workflows go on when the next life is launched. It does
// not wait for the steps.
func (e *Engine) Restart() *Engine {
	e.mu.Lock()
	e.closed = true
	e.records.release(e)
	e.mu.Unlock()
	e.end(fault.Errorf(fault.Closed, "the process was killed"))
	return newLife(e.records)
}

// Register implements retrain.Engine.
func (e *Engine) Register(name string, w retrain.Workflow) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.workflows[name]; ok {
		return fault.Errorf(fault.AlreadyExists, "register %q: the name is taken", name)
	}
	e.workflows[name] = w
	e.runUnfinished()
	return nil
}

// Unregister implements retrain.Engine.
func (e *Engine) Unregister(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.workflows[name]; !ok {
		return fault.Errorf(fault.NotFound, "unregister %q: the name is not registered", name)
	}
	delete(e.workflows, name)
	e.records.interrupt(e, name, fault.Errorf(fault.Closed, "workflow %q was unregistered", name))
	return nil
}

// Launch implements retrain.Engine.
func (e *Engine) Launch(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return fault.Errorf(fault.Closed, "launch: the engine is closed")
	case e.launched:
		return nil
	}
	e.launched = true
	e.runUnfinished()
	return nil
}

// runUnfinished runs what earlier lives left. The caller holds mu.
func (e *Engine) runUnfinished() {
	if e.usable() != nil {
		return
	}
	for _, r := range e.records.unfinished() {
		e.run(r)
	}
}

// Start implements retrain.Engine.
func (e *Engine) Start(ctx context.Context, name, id string, input []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(); err != nil {
		return fmt.Errorf("start %s: %w", id, err)
	}
	if _, ok := e.workflows[name]; !ok {
		return fault.Errorf(fault.NotFound, "start %s: workflow %q is not registered", id, name)
	}
	e.run(e.records.open(name, id, input))
	return nil
}

// usable says why the engine runs nothing. The caller holds mu.
func (e *Engine) usable() error {
	switch {
	case e.closed:
		return fault.Errorf(fault.Closed, "the engine is closed")
	case !e.launched:
		return fault.Errorf(fault.Conflict, "call Launch first")
	}
	return nil
}

// run runs a workflow that is unfinished, of a registered name, and not running.
// The caller holds mu.
func (e *Engine) run(r *record) {
	w, ok := e.workflows[r.name]
	if !ok {
		return
	}
	ctx, cancel := context.WithCancelCause(e.life)
	try, ok := e.records.claim(r, e, cancel)
	if !ok {
		cancel(nil)
		return
	}
	e.work.Go(func() {
		defer cancel(nil)
		output, err := try.work(ctx, w)
		try.end(ctx, output, err)
		e.again(r)
	})
}

// again runs a workflow that Unregister cut off, where its name has come back.
func (e *Engine) again(r *record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.usable() == nil && !e.records.result(r).Done {
		e.run(r)
	}
}

// Result implements retrain.Engine.
func (e *Engine) Result(ctx context.Context, id string) (retrain.Result, error) {
	if err := ctx.Err(); err != nil {
		return retrain.Result{}, err
	}
	r, err := e.find(id)
	if err != nil {
		return retrain.Result{}, fmt.Errorf("result of %s: %w", id, err)
	}
	return e.records.result(r), nil
}

func (e *Engine) find(id string) (*record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(); err != nil {
		return nil, err
	}
	return e.records.find(id)
}

// Wait implements retrain.Engine.
func (e *Engine) Wait(ctx context.Context, id string) (retrain.Result, error) {
	r, err := e.find(id)
	if err != nil {
		return retrain.Result{}, fmt.Errorf("wait for %s: %w", id, err)
	}
	select {
	case <-r.done:
		return e.records.result(r), nil
	case <-ctx.Done():
		return retrain.Result{}, ctx.Err()
	case <-e.life.Done():
		return retrain.Result{}, fault.Errorf(fault.Closed, "wait for %s: the engine is closed", id)
	}
}

// Cancel implements retrain.Engine.
func (e *Engine) Cancel(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := e.find(id)
	if err != nil {
		return fmt.Errorf("cancel %s: %w", id, err)
	}
	e.records.cancel(r)
	return nil
}

// closeTimeout bounds Close when its context has no deadline.
const closeTimeout = 10 * time.Second

// Close implements retrain.Engine. Steps under way see their context end; Close
// waits for them until ctx ends, or 10 s without a deadline. Errors: Unavailable
// when one did not end; what it returns later is lost.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.end(fault.Errorf(fault.Closed, "the engine is closed"))
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	ended := make(chan struct{})
	go func() {
		e.work.Wait()
		close(ended)
	}()
	defer e.records.release(e)
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fault.Errorf(fault.Unavailable, "close: a step has not ended: %w", ctx.Err())
	}
}
