package retraintest

import (
	"context"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// NewEngine returns an Engine in memory, for consumers' tests: steps and results
// are remembered as long as the value lives. It is safe for concurrent use.
func NewEngine() *Engine {
	return &Engine{workflows: make(map[string]retrain.Workflow), runs: make(map[string]*engineRun)}
}

// Engine is the in-memory retrain.Engine.
type Engine struct {
	mu        sync.Mutex
	workflows map[string]retrain.Workflow
	runs      map[string]*engineRun
	launched  bool
	closed    bool
}

// engineRun is one workflow: done is closed once output and err are set.
type engineRun struct {
	done   chan struct{}
	output []byte
	err    error
	steps  map[string]stepResult
}

type stepResult struct {
	output []byte
	err    error
}

var _ retrain.Engine = (*Engine)(nil)

// Register implements retrain.Engine.
func (e *Engine) Register(name string, w retrain.Workflow) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.launched {
		return fault.Errorf(fault.Conflict, "register %q: register workflows before Launch", name)
	}
	if _, ok := e.workflows[name]; ok {
		return fault.Errorf(fault.AlreadyExists, "register %q: the name is taken", name)
	}
	e.workflows[name] = w
	return nil
}

// Launch implements retrain.Engine.
func (e *Engine) Launch(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fault.Errorf(fault.Closed, "launch: the engine is closed")
	}
	e.launched = true
	return nil
}

// Run implements retrain.Engine.
func (e *Engine) Run(ctx context.Context, name, id string, input []byte) ([]byte, error) {
	e.mu.Lock()
	w, known := e.workflows[name]
	switch {
	case e.closed:
		e.mu.Unlock()
		return nil, fault.Errorf(fault.Closed, "run %s: the engine is closed", id)
	case !e.launched:
		e.mu.Unlock()
		return nil, fault.Errorf(fault.Conflict, "run %s: call Launch first", id)
	case !known:
		e.mu.Unlock()
		return nil, fault.Errorf(fault.NotFound, "run %s: workflow %q is not registered", id, name)
	}
	run, running := e.runs[id]
	if !running {
		run = &engineRun{done: make(chan struct{}), steps: make(map[string]stepResult)}
		e.runs[id] = run
		go func() {
			defer close(run.done)
			run.output, run.err = w(context.WithoutCancel(ctx), run, input)
		}()
	}
	e.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-run.done:
		return run.output, run.err
	}
}

// Do implements retrain.Steps.
func (r *engineRun) Do(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	if s, ok := r.steps[name]; ok {
		return s.output, s.err
	}
	output, err := fn(ctx)
	r.steps[name] = stepResult{output, err}
	return output, err
}

// Close implements retrain.Engine.
func (e *Engine) Close(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}
