package retraindbos

import (
	"maps"
	"slices"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

// sight is what this engine last saw of a workflow that it does not run.
type sight struct {
	holder holder    // of its last try
	since  time.Time // when the holder was first seen so; zero: not yet
	looks  int       // how often it was seen so again, a tick apart
	last   time.Time // the latest of them
	after  time.Time // when to look again, at the earliest
}

// tend is the background work: it takes up what was left unfinished, shows that
// this process lives, and notices what others did to the tries that run here.
func (e *Engine) tend(c dbos.Context) {
	e.attempt("list what was left unfinished", func() error { return e.findUnfinished(c) })
	e.takeUp(c)
	tick := time.NewTicker(e.tick())
	defer tick.Stop()
	for {
		select {
		case <-c.Done():
			return
		case <-tick.C:
		}
		e.attempt("renew the lease", func() error { return e.renew(c) })
		e.attempt("list what is under way", func() error { return e.findUnderWay(c) })
		e.takeUp(c)
	}
}

// ticksInLease is how often a Lease is renewed in its time.
const ticksInLease = 5

func (e *Engine) tick() time.Duration { return max(e.options.Lease/ticksInLease, time.Millisecond) }

// attempt does what is done again at the next tick when it fails.
func (e *Engine) attempt(what string, fn func() error) {
	if err := fn(); err != nil {
		select {
		case <-e.ended: // Close cut it off
		default:
			e.options.Logger.Error("retraindbos: cannot "+what, "error", err)
		}
	}
}

// findUnfinished notes every workflow without a result. Tries without one stay
// in the database, so that the look at all of them is taken once in a life.
func (e *Engine) findUnfinished(c dbos.Context) error {
	open, err := lastOf(c, dbos.WithFilterStatus(dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued, dbos.WorkflowStatusDelayed,
		dbos.WorkflowStatusError, dbos.WorkflowStatusCancelled, dbos.WorkflowStatusMaxRecoveryAttemptsExceeded))
	if err != nil {
		return err
	}
	// A try after the last that did not succeed has succeeded.
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(open)), 256) {
		var next []string
		for _, id := range ids {
			next = append(next, tryID(id, open[id]+1))
		}
		ended, err := lastOf(c, dbos.WithFilterWorkflowIDs(next...))
		if err != nil {
			return err
		}
		for id := range ended {
			delete(open, id)
		}
	}
	e.note(open)
	return nil
}

// findUnderWay notes the workflows that other processes run.
func (e *Engine) findUnderWay(c dbos.Context) error {
	open, err := lastOf(c, dbos.WithFilterStatus(dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued))
	if err != nil {
		return err
	}
	e.note(open)
	return nil
}

// lastOf returns the ids of the workflows that have such tries, each with the
// highest number of one.
func lastOf(c dbos.Context, filter dbos.ListWorkflowsOption) (map[string]int, error) {
	found, err := dbos.ListWorkflows(c, filter, dbos.WithFilterName(workflowName),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, err
	}
	last := make(map[string]int)
	for _, s := range found {
		if id, number, ok := parseTryID(s.ID); ok {
			last[id] = max(last[id], number)
		}
	}
	return last, nil
}

func (e *Engine) note(open map[string]int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range open {
		if _, ok := e.pending[id]; !ok && e.running[id] == nil {
			e.pending[id] = sight{}
		}
	}
}

// takeUp goes on with what can be gone on with.
func (e *Engine) takeUp(c dbos.Context) {
	now := time.Now()
	e.mu.Lock()
	var due []string
	for id, s := range e.pending {
		if !s.after.After(now) {
			due = append(due, id)
		}
	}
	e.mu.Unlock()
	slices.Sort(due)
	for _, id := range due {
		e.attempt("go on with "+id, func() error {
			settled, err := e.resume(c, id, nil)
			if settled && err == nil {
				e.forget(id)
			}
			return err
		})
	}
}

func (e *Engine) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.pending[id].after.After(time.Now()) { // else it was postponed meanwhile
		delete(e.pending, id)
	}
}

// alive reports whether the process that runs the try lives, as far as can be
// told: it does until its death is seen, or it has shown no life for a Lease of
// this process's own time and in five looks, which a machine under load delays as
// it delays the holder. Clocks are not compared.
func (e *Engine) alive(t try) bool {
	h := holderOf(t)
	if h.gone(e.self(0)) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if h.life == e.life {
		return e.tries[t.status.ID] != nil || e.marks[t.status.ID]
	}
	s, now := e.pending[t.id], time.Now()
	if s.since.IsZero() || s.holder != h {
		e.pending[t.id] = sight{holder: h, since: now, last: now}
		return true
	}
	if now.Sub(s.last) >= e.tick()/2 {
		s.looks, s.last = s.looks+1, now
		e.pending[t.id] = s
	}
	return now.Sub(s.since) < e.options.Lease || s.looks < ticksInLease
}

// renew shows that this process lives, and ends the contexts of tries that were
// cancelled in the database.
func (e *Engine) renew(c dbos.Context) error {
	runs := make(map[string]*run)
	e.mu.Lock()
	maps.Copy(runs, e.tries)
	e.mu.Unlock()
	if len(runs) == 0 {
		return nil
	}
	found, err := dbos.ListWorkflows(c, dbos.WithFilterWorkflowIDs(slices.Collect(maps.Keys(runs))...),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return err
	}
	for _, s := range found {
		switch s.Status {
		case dbos.WorkflowStatusCancelled:
			runs[s.ID].cancel(errLost)
		case dbos.WorkflowStatusPending:
			h := e.self(runs[s.ID].nextBeat())
			if err := dbos.SetWorkflowAttributes(c, s.ID, h.attributes()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) nextBeat() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beat++
	return r.beat
}
