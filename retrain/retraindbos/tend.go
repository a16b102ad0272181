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

// tend takes up what was left unfinished, at each tick and when it is poked.
func (e *Engine) tend(c dbos.Context) {
	tick := time.NewTicker(e.tick())
	defer tick.Stop()
	var cutOff time.Time // when the last try ended without a result, as far as was seen
	all := true
	for {
		e.attempt(c, 10*e.patience(), "list what was left unfinished", func(c dbos.Context) error {
			last, err := e.findUnfinished(c, all, cutOff)
			if err == nil {
				all, cutOff = false, last
			}
			return err
		})
		e.takeUp(c)
		select {
		case <-c.Done():
			return
		case <-e.pokes:
			if e.wantsAll.Swap(false) {
				all = true
			}
		case <-tick.C:
		}
	}
}

// keepAlive shows that this process lives, whatever else waits for the database.
func (e *Engine) keepAlive(c dbos.Context) {
	tick := time.NewTicker(e.tick())
	defer tick.Stop()
	for {
		select {
		case <-c.Done():
			return
		case <-tick.C:
			e.attempt(c, e.patience(), "renew the lease", e.renew)
		}
	}
}

// poke has tend look at once, at all workflows where a name is new.
func (e *Engine) poke(all bool) {
	if all {
		e.wantsAll.Store(true)
	}
	select {
	case e.pokes <- struct{}{}:
	default: // it is about to look
	}
}

// ticksInLease is how often a Lease is renewed in its time.
const ticksInLease = 5

func (e *Engine) tick() time.Duration { return max(e.options.Lease/ticksInLease, time.Millisecond) }

// patience is how long a renewal may take. After a failure DBOS waits up to half a
// minute before it tries again: a process that lives must be seen to sooner when
// its database comes back.
func (e *Engine) patience() time.Duration { return max(e.tick(), time.Second) }

// attempt does what is done again at a later tick when it fails.
func (e *Engine) attempt(c dbos.Context, patience time.Duration, what string, fn func(c dbos.Context) error) {
	c, cancel := dbos.WithTimeout(c, patience)
	defer cancel()
	if err := fn(c); err != nil {
		select {
		case <-e.ended: // Close cut it off
		default:
			e.options.Logger.Error("retraindbos: cannot "+what, "error", err)
		}
	}
}

// unsuccessful is every status of a try but that of one that ended its workflow.
var unsuccessful = []dbos.WorkflowStatusType{
	dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued, dbos.WorkflowStatusDelayed,
	dbos.WorkflowStatusError, dbos.WorkflowStatusCancelled, dbos.WorkflowStatusMaxRecoveryAttemptsExceeded,
}

// commitDelay is how much later than its time a row may be seen.
const commitDelay = 10 * time.Second

// findUnfinished notes the workflows without a result: those under way, and of
// those that were cut off all, or the ones since the given time. It returns when
// the last of them was. Tries without a result stay in the database, so that the
// look at all of them is not taken at each tick.
func (e *Engine) findUnfinished(c dbos.Context, all bool, since time.Time) (time.Time, error) {
	filters := [][]dbos.ListWorkflowsOption{{dbos.WithFilterStatus(unsuccessful...)}}
	if !all {
		filters = [][]dbos.ListWorkflowsOption{
			{dbos.WithFilterStatus(unsuccessful[:3]...)},
			{dbos.WithFilterStatus(unsuccessful[3:]...), dbos.WithFilterCompletedAfter(since.Add(-commitDelay))},
		}
	}
	open := make(map[string]int)
	for _, filter := range filters {
		found, err := lastOf(c, filter...)
		if err != nil {
			return since, err
		}
		for id, t := range found {
			open[id] = max(open[id], t.number)
			if t.status.CompletedAt.After(since) {
				since = t.status.CompletedAt
			}
		}
	}
	if err := dropEnded(c, open); err != nil {
		return since, err
	}
	e.note(open)
	return since, nil
}

// dropEnded deletes what has a later try: one after the last that did not succeed
// has succeeded.
func dropEnded(c dbos.Context, open map[string]int) error {
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
	return nil
}

// lastOf returns the last of the tries that the filter lets through, by the id of
// their workflow.
func lastOf(c dbos.Context, filter ...dbos.ListWorkflowsOption) (map[string]try, error) {
	found, err := dbos.ListWorkflows(c, append(filter, dbos.WithFilterName(firstName, againName),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))...)
	if err != nil {
		return nil, err
	}
	last := make(map[string]try)
	for _, s := range found {
		if id, number, ok := parseTryID(s.ID); ok && number > last[id].number {
			last[id] = try{id: id, number: number, status: s}
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
		e.attempt(c, 10*e.patience(), "go on with "+id, func(c dbos.Context) error {
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
			if err := dbos.SetWorkflowAttributes(c, s.ID, h.attributes(), dbos.WithMergeAttributes()); err != nil {
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
