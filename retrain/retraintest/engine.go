package retraintest

import (
	"context"
	"fmt"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// NewEngine returns an Engine in memory, for consumers' tests: steps and results
// are remembered as long as the value lives.
func NewEngine() *Engine {
	e := &Engine{workflows: make(map[string]retrain.Workflow), runs: make(map[string]*engineRun)}
	e.life, e.end = context.WithCancel(context.Background())
	return e
}

// Engine is the in-memory retrain.Engine. It is safe for concurrent use.
type Engine struct {
	life context.Context // ends with Close: the workflows' own
	end  context.CancelFunc
	work sync.WaitGroup

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
	run, err := e.start(name, id, input)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", id, err)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-run.done:
		if run.err != nil && e.life.Err() != nil {
			return nil, fault.Errorf(fault.Closed, "run %s: the engine is closed: %w", id, run.err)
		}
		return run.output, run.err
	}
}

// start returns the run of the id, which it begins when there is none.
func (e *Engine) start(name, id string, input []byte) (*engineRun, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w, known := e.workflows[name]
	switch {
	case e.closed:
		return nil, fault.Errorf(fault.Closed, "the engine is closed")
	case !e.launched:
		return nil, fault.Errorf(fault.Conflict, "call Launch first")
	case !known:
		return nil, fault.Errorf(fault.NotFound, "workflow %q is not registered", name)
	}
	run, running := e.runs[id]
	if !running {
		run = &engineRun{done: make(chan struct{}), steps: make(map[string]stepResult)}
		e.runs[id] = run
		e.work.Go(func() {
			defer close(run.done)
			run.output, run.err = w(e.life, run, input)
		})
	}
	return run, nil
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

// Close implements retrain.Engine. Steps under way see their context end.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.end()
	ended := make(chan struct{})
	go func() {
		e.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fault.Errorf(fault.Unavailable, "close: workflows are still at work: %w", ctx.Err())
	}
}
