package retraintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// records is what outlives the engines: each workflow, its steps and its result.
type records struct {
	mu   sync.Mutex
	byID map[string]*record
	all  []*record // in the order of their start
}

// record is one workflow. All but its id, name, input, start and done are guarded
// by mu of records.
type record struct {
	id, name string
	input    []byte
	started  time.Time
	ended    time.Time
	steps    map[string]retrain.Result
	result   retrain.Result
	done     chan struct{}       // closed once the result is set
	signals  map[string][][]byte // by topic
	signal   chan struct{}       // closed, and replaced, with each signal

	// try is the one execution whose results count, nil when none is under way.
	try *try
}

// try is one execution of a workflow in one life.
type try struct {
	records *records
	record  *record
	engine  *Engine
	cancel  context.CancelCauseFunc
	cut     bool           // a step was cut off: whatever the workflow makes of that is worthless
	awaits  map[string]int // how often each topic was awaited, and how many signals it
	taken   map[string]int // gave; for the workflow's own goroutine
}

// open returns the record of the id, a new one where there is none.
func (rs *records) open(name, id string, input []byte) *record {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok := rs.byID[id]
	if !ok {
		r = &record{
			id: id, name: name, input: bytes.Clone(input), started: time.Now(), steps: make(map[string]retrain.Result),
			done: make(chan struct{}), signals: make(map[string][][]byte), signal: make(chan struct{}),
		}
		rs.byID[id] = r
		rs.all = append(rs.all, r)
	}
	return r
}

func (rs *records) find(id string) (*record, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok := rs.byID[id]
	if !ok {
		return nil, fault.Errorf(fault.NotFound, "no such workflow was started")
	}
	return r, nil
}

func (rs *records) unfinished() []*record {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var open []*record
	for _, r := range rs.all {
		if !r.result.Done {
			open = append(open, r)
		}
	}
	return open
}

// claim makes the engine the one that runs the workflow, unless it has ended or
// another runs it.
func (rs *records) claim(r *record, e *Engine, cancel context.CancelCauseFunc) (*try, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.result.Done || r.try != nil {
		return nil, false
	}
	r.try = &try{records: rs, record: r, engine: e, cancel: cancel, awaits: make(map[string]int), taken: make(map[string]int)}
	return r.try, true
}

// release takes from the engine what it still runs.
func (rs *records) release(e *Engine) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.all {
		if r.try != nil && r.try.engine == e {
			r.try = nil
		}
	}
}

// interrupt ends the contexts of what the engine runs under the name.
func (rs *records) interrupt(e *Engine, name string, cause error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.all {
		if r.try != nil && r.try.engine == e && r.name == name {
			r.try.cancel(cause)
		}
	}
}

func (rs *records) result(r *record) retrain.Result {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return copied(r.result)
}

func (rs *records) cancel(r *record) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.result.Done {
		return
	}
	err := fault.Errorf(fault.Unavailable, "the workflow was cancelled")
	if r.try != nil {
		r.try.cancel(err)
		r.try = nil
	}
	r.finish(retrain.Result{Done: true, Err: err})
}

// finish sets the result. The caller holds mu of records.
func (r *record) finish(result retrain.Result) {
	r.result, r.ended = result, time.Now()
	close(r.done)
}

// work runs the workflow; a panic is its error.
func (t *try) work(ctx context.Context, w retrain.Workflow) ([]byte, error) {
	return guarded(func() ([]byte, error) { return w(ctx, steps{t, ctx}, bytes.Clone(t.record.input)) })
}

// end records the result, unless the work was cut off.
func (t *try) end(ctx context.Context, output []byte, err error) {
	t.records.mu.Lock()
	defer t.records.mu.Unlock()
	if t.record.try != t {
		return
	}
	t.record.try = nil
	if !t.cut && (err == nil || ctx.Err() == nil) {
		t.record.finish(kept(output, err))
	}
}

// kept is what an engine on disk keeps of a result: of an error its text and kind.
func kept(output []byte, err error) retrain.Result {
	if err == nil {
		return retrain.Result{Done: true, Output: append([]byte(nil), output...)} // nil for none
	}
	if kind := fault.Kind(err); kind != nil {
		return retrain.Result{Done: true, Err: fault.Errorf(kind, "%s", err.Error())}
	}
	return retrain.Result{Done: true, Err: errors.New(err.Error())}
}

func copied(r retrain.Result) retrain.Result {
	r.Output = bytes.Clone(r.Output)
	return r
}

// guarded runs fn; a panic in it is an error.
func guarded(fn func() ([]byte, error)) (output []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			output, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	return fn()
}
