package retraindbos

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
)

// run is a try that this engine runs.
type run struct {
	id      string // the workflow's
	name    string // the workflow's; set before it begins
	tryID   string
	ctx     context.Context // the workflow's own; ends with Close, Cancel and the loss of the try
	cancel  context.CancelCauseFunc
	settled chan struct{} // closed when it began or was discarded
	ended   chan struct{} // closed when it is over and no longer among running

	mu       sync.Mutex
	recorded map[string]outcome // steps, by name
	started  bool               // the try is in DBOS
	beat     int
	cut      error    // why a step was cut off, or could not be recorded
	outcome  *outcome // what DBOS recorded for the workflow, once it has ended
}

func (r *run) begun() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.started
}

// resume runs a new try of the workflow here, unless it has ended, its name is
// not registered, or a live process runs it. first is what to begin where there
// is no try yet; nil: nothing. It reports true when there is no more to do: the
// workflow runs here, has ended, or is not for this process.
func (e *Engine) resume(c dbos.Context, id string, first *call) (settled bool, err error) {
	for {
		r, other := e.reserve(id)
		switch {
		case r != nil:
			defer e.settle(r)
			return e.next(c, r, first)
		case other == nil:
			return true, fault.Errorf(fault.Closed, "the engine is closed")
		}
		select {
		case <-other.settled:
		case <-c.Done():
			return false, c.Err()
		}
		if !other.begun() {
			continue
		}
		if settled, err := e.known(c, other, first != nil); settled || err != nil {
			return settled, err
		}
	}
}

// known reports whether there is nothing to begin beside an execution that is
// here. There is when it was ended and forgotten: it returns then once it is over.
func (e *Engine) known(c dbos.Context, other *run, anew bool) (bool, error) {
	if context.Cause(other.ctx) == nil || !anew {
		return true, nil
	}
	tries, err := triesOf(c, other.id)
	if err != nil || len(tries) > 0 {
		return err == nil, err
	}
	select {
	case <-other.ended:
		return false, nil
	case <-c.Done():
		return false, c.Err()
	}
}

// next runs the next try of a workflow as r.
func (e *Engine) next(c dbos.Context, r *run, first *call) (settled bool, err error) {
	tries, err := triesOf(c, r.id)
	if err != nil {
		return false, err
	}
	input := first
	if len(tries) > 0 {
		last, err := e.takeOver(c, tries[len(tries)-1])
		if err != nil || last.ended() || last.underWay() {
			return last.ended(), err
		}
		if last.toBeCancelled() {
			return e.mark(c, r.id, len(tries)+1)
		}
		recorded, err := decode[call](tries[0].status.Input)
		if err != nil {
			return false, err
		}
		if input = &recorded; !e.registered(recorded.Name) {
			return true, nil
		}
		if r.recorded, err = stepsOf(c, tries); err != nil {
			return false, err
		}
	}
	if input == nil {
		return true, nil
	}
	return e.begin(r, len(tries)+1, *input)
}

func (e *Engine) registered(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.workflows[name] != nil
}

// reserve enters a run for the id and returns it. Where there is one already, it
// returns that one as other; a closed engine has neither.
func (e *Engine) reserve(id string) (r, other *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch other := e.running[id]; {
	case e.closed:
		return nil, nil
	case other != nil:
		return nil, other
	}
	r = &run{id: id, settled: make(chan struct{}), ended: make(chan struct{}), recorded: make(map[string]outcome)}
	r.ctx, r.cancel = context.WithCancelCause(e.dbos)
	e.running[id] = r
	e.work.Add(1)
	return r, nil
}

// settle ends the reservation: the run began, or is discarded.
func (e *Engine) settle(r *run) {
	if !r.begun() {
		e.discard(r)
	}
	close(r.settled)
}

// discard takes a run that is over off the lists.
func (e *Engine) discard(r *run) {
	e.mu.Lock()
	delete(e.running, r.id)
	delete(e.tries, r.tryID)
	e.mu.Unlock()
	r.cancel(nil)
	close(r.ended)
	e.work.Done()
}

// takeOver cancels a try that its process has left, so that nothing is recorded
// for it any more, and returns the try as it is then. One that a live process
// runs is returned as it is.
func (e *Engine) takeOver(c dbos.Context, t try) (try, error) {
	if !t.underWay() || e.alive(t) {
		return t, nil
	}
	if err := dbos.CancelWorkflow(c, t.status.ID); err != nil {
		return t, err
	}
	return reload(c, t)
}

func reload(c dbos.Context, t try) (try, error) {
	found, err := dbos.ListWorkflows(c, dbos.WithFilterWorkflowIDs(t.status.ID))
	switch {
	case err != nil:
		return t, err
	case len(found) != 1:
		return t, fault.Errorf(fault.Conflict, "try %s was deleted", t.status.ID)
	}
	t.status = found[0]
	return t, nil
}

// begin starts a try in DBOS. It reports false when another process began it.
func (e *Engine) begin(r *run, number int, input call) (bool, error) {
	e.mu.Lock()
	root := e.dbos
	r.tryID, r.name = tryID(r.id, number), input.Name
	e.tries[r.tryID] = r
	known := e.workflows[r.name] != nil // else it was unregistered just now
	e.mu.Unlock()
	if !known {
		return false, fault.Errorf(fault.NotFound, "workflow %q is not registered", input.Name)
	}
	handle, err := e.insert(root, r.id, number, input)
	switch {
	case errors.Is(err, dbos.ErrWorkflowIDInUse):
		return false, nil
	case err != nil:
		return false, err
	}
	r.mu.Lock()
	r.started = true
	r.mu.Unlock()
	go func() {
		o, err := handle.GetResult()
		if err == nil {
			r.mu.Lock()
			r.outcome = &o
			r.mu.Unlock()
		}
		cause := context.Cause(r.ctx)
		e.discard(r)
		if err != nil {
			e.postpone(r, number, cause)
		}
	}()
	return true, nil
}

// insert starts a DBOS workflow under an id that nothing else has: of several
// processes one succeeds.
func (e *Engine) insert(root dbos.Context, id string, number int, input call) (dbos.WorkflowHandle[outcome], error) {
	fn := e.again
	if number == 1 {
		fn = e.first
	}
	return dbos.RunWorkflow(root, fn, input, append(e.born(), dbos.WithWorkflowID(tryID(id, number)))...)
}

// born are the options with which this process begins a DBOS workflow. The
// version is the life: DBOS takes up by itself what a process of its own name and
// version left, which two environment variables may set, and such workflows are
// of no other process's version.
func (e *Engine) born() []dbos.WorkflowOption {
	return []dbos.WorkflowOption{
		dbos.WithWorkflowIDReusePolicy(dbos.WorkflowIDReusePolicyReject),
		dbos.WithWorkflowAttributes(e.self(0).attributes()),
		dbos.WithApplicationVersion(e.appName() + "/" + e.life),
	}
}

// postpone puts a workflow that was cut off here where tend finds it: at once
// where its name was taken back, a tick later where others took it or are ending
// it, else after a wait that doubles with each try, up to a minute, for what broke
// it may last.
func (e *Engine) postpone(r *run, number int, ended error) {
	wait := min(time.Second<<min(number-1, 6), time.Minute)
	switch {
	case errors.Is(ended, errLost):
		wait = e.tick()
	case ended != nil:
		wait = 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.pending[r.id] = sight{after: time.Now().Add(wait)}
	if ended != nil {
		e.poke(false)
	} else {
		e.options.Logger.Error("retraindbos: a workflow was cut off and will be tried again", "id", r.id, "try", number, "in", wait, "cause", r.cutOff())
	}
}

// first and again are the DBOS workflows of a first try and of the later ones.
func (e *Engine) first(c dbos.Context, in call) (outcome, error) { return e.dispatch(c, in) }
func (e *Engine) again(c dbos.Context, in call) (outcome, error) { return e.dispatch(c, in) }

// dispatch runs the workflow that the call names. An error that it returns ends the try and not
// the workflow.
func (e *Engine) dispatch(c dbos.Context, in call) (outcome, error) {
	tid, err := dbos.GetWorkflowID(c)
	switch {
	case err != nil:
		return outcome{}, err
	case in.Cancelled:
		return outcomeOf(nil, errCancelled), nil
	}
	e.mu.Lock()
	r, w := e.tries[tid], e.workflows[in.Name]
	e.mu.Unlock()
	if r == nil || w == nil {
		// It was unregistered, or taken up by somebody else, just now.
		return outcome{}, fault.Errorf(fault.Conflict, "try %s is not one of this life", tid)
	}
	output, err := guarded(e.report(r.id), func() ([]byte, error) { return w(r.ctx, newSteps(e, r, c), in.Input) })
	// A step that was cut off makes whatever the workflow returned worthless.
	if cut := r.cutOff(); cut != nil {
		return outcome{}, cut
	}
	if cause := context.Cause(r.ctx); err != nil && cause != nil {
		return outcome{}, cause
	}
	return outcomeOf(output, err), nil
}

func (r *run) cutOff() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// cutBy notes why a step was cut off, once, and returns it.
func (r *run) cutBy(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut == nil {
		r.cut = err
	}
	return r.cut
}

func (e *Engine) report(id string) func(v any) {
	return func(v any) {
		e.options.Logger.Error("retraindbos: a workflow panicked", "id", id, "panic", v, "stack", string(debug.Stack()))
	}
}
