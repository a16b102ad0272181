package retrain

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/serve"
)

// Failure is a part of a step that fails.
type Failure struct {
	Part  string
	Error string    // the latest
	Since time.Time // of the first failure in a row
	Count int       // in a row
}

// Status is where a loop stands.
type Status struct {
	Model        string
	SteppedAt    time.Time   // the last completed step
	Champion     int64       // version; 0: none
	Retraining   *Retraining // under way; nil: none
	Paused       string      // why; "": it is not
	PausedSince  time.Time
	Failing      []Failure // by part
	LastError    string    // of the part that failed last; "": all of them work
	FailingSince time.Time // of the first of them
	Waiting      []string  // what the next retraining, or the one under way, waits for
	Triggers     []string  // what each of Config.Triggers waits for, in their order; none before there is a champion
	Retrainings  int64     // begun so far, first fits included
	Failures     int       // retrainings in a row that failed or were rolled back
	Fruitless    int       // and that left the champion in place
	Alerts       []drift.Alert
	Unwatched    []drift.Unwatched // columns whose drift the monitor cannot see
	Learning     string            // the monitor has no reference yet; "": it has
	Log          serve.Stats       // queue, drops, shadow
	Backlog      Backlog           // what is stored and that no step has read
	LabelLag     time.Duration     // from the latest prediction with a label to the last step; 0: no label has come
	Labels       LabelStatus
	Senders      []alert.Status
	Leader       string    // the process that leads, as this one last heard; "": none, or it has not asked yet
	Leading      bool      // it is this one
	Token        int64     // fencing token of its lease
	Until        time.Time // when the lease ends unless it is renewed
}

// LabelStatus counts what came of Config.Labels.
type LabelStatus struct {
	KnownAt time.Time // the latest that was read
	Unknown int64     // of predictions that are not in the log
	Refused int64     // that no version can answer
}

// Backlog is how much of the stored log waits to be read. A step leaves none
// unless its part "watch" fails; then it is counted, by the numbers of the first
// and the last record that wait: those of other models between them, on the same
// store, count too.
type Backlog struct {
	Rows   int64 // predictions
	Labels int64
}

// Status tells where the loop stands, as of the end of its last step, and how
// its server does now. It waits for no step. Errors: the stores', for Senders.
func (l *Loop) Status(ctx context.Context) (Status, error) {
	s := l.status.snapshot()
	s.Model, s.Log = l.config.Model, l.server.Stats()
	l.seeLease(&s)
	if len(l.config.Alerts) == 0 {
		return s, nil
	}
	var err error
	if s.Senders, err = l.courier.Status(ctx, l.config.Now()); err != nil {
		err = fmt.Errorf("retrain: status of %s: %w", l.config.Model, err)
	}
	return s, err
}

// seeLease takes over who leads.
func (l *Loop) seeLease(s *Status) {
	var lease Lease
	lease, s.Leading = l.leads.view()
	s.Leader, s.Token, s.Until = lease.Holder, lease.Token, lease.Until
}

// board is what a loop shows of itself. It has a lock of its own: a step that
// takes long keeps nobody from looking.
type board struct {
	mu       sync.Mutex
	status   Status
	failing  map[string]Failure
	failures map[string]int64 // since New, by part
	labelled time.Time        // of the latest prediction with a label; zero before
	senders  []alert.Status   // as of the last delivery
}

// see takes over where the loop stands. The loop's turn is held.
func (b *board) see(l *Loop) {
	m := l.memory
	s := Status{
		SteppedAt: l.state.SteppedAt, Champion: m.Followed, Labels: LabelStatus(m.Labels),
		Retrainings: m.Ledger.Next, Failures: m.Ledger.Failures, Fruitless: m.Ledger.Fruitless,
	}
	if m.Paused != nil {
		s.Paused, s.PausedSince = cmp.Or(m.Paused.Reason, "no reason given"), m.Paused.Since
	}
	if a := m.Attempt; a != nil {
		r := a.Retraining
		r.Causes, r.Verdicts, r.Metrics = slices.Clone(r.Causes), slices.Clone(r.Verdicts), maps.Clone(r.Metrics)
		s.Retraining = &r
	}
	for _, topic := range slices.Sorted(maps.Keys(m.Waits)) {
		s.Waiting = append(s.Waiting, m.Waits[topic])
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seeWatcher(l.watcher, &s)
	s.Triggers, s.Backlog = b.status.Triggers, b.status.Backlog
	b.status = s
}

// seeWatcher takes over what the watcher knows. One that failed is gone until it
// has been restored: what it last said is still the best there is, and an alert
// has not resolved by that. b.mu is held.
func (b *board) seeWatcher(w *watcher, s *Status) {
	if w != nil && w.monitor != nil {
		s.Alerts, s.Unwatched = w.monitor.Alerts(), w.monitor.Unwatched()
		if have, want := w.monitor.Learning(); want > 0 {
			s.Learning = fmt.Sprintf("%d of %d rows", have, want)
		}
		b.labelled = w.labelled
	} else {
		s.Alerts, s.Unwatched, s.Learning = b.status.Alerts, b.status.Unwatched, b.status.Learning
	}
	if !b.labelled.IsZero() {
		s.LabelLag = max(0, s.SteppedAt.Sub(b.labelled))
	}
}

// seeStep takes over what a step found out about what is waited for.
func (b *board) seeStep(triggers []string, backlog Backlog) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Triggers, b.status.Backlog = triggers, backlog
}

// seeSenders takes over where the senders stand.
func (b *board) seeSenders(s []alert.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.senders = s
}

func (b *board) snapshot() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Waiting, s.Triggers, s.Alerts, s.Unwatched = slices.Clone(s.Waiting), slices.Clone(s.Triggers), slices.Clone(s.Alerts), slices.Clone(s.Unwatched)
	for _, part := range slices.Sorted(maps.Keys(b.failing)) {
		f := b.failing[part]
		s.Failing = append(s.Failing, f)
		if s.FailingSince.IsZero() || f.Since.Before(s.FailingSince) {
			s.FailingSince, s.LastError = f.Since, f.Part+": "+f.Error
		}
	}
	return s
}

// counts returns what Metrics tells and Status does not: failures since New, by
// part, when the latest prediction with a label was made, and where the senders
// stood at the last delivery.
func (b *board) counts() (failures map[string]int64, labelled time.Time, senders []alert.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failures = make(map[string]int64, len(b.failures))
	maps.Copy(failures, b.failures)
	return failures, b.labelled, slices.Clone(b.senders)
}

// fail notes that a part failed, and reports whether it worked before.
func (b *board) fail(now time.Time, part string, err error) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, failing := b.failing[part]
	if !failing {
		f = Failure{Part: part, Since: now}
	}
	f.Count, f.Error = f.Count+1, err.Error()
	if b.failing == nil {
		b.failing, b.failures = make(map[string]Failure), make(map[string]int64)
	}
	b.failing[part] = f
	b.failures[part]++
	return !failing
}

// succeed notes that a part works, and reports whether it failed before.
func (b *board) succeed(part string) (again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, again = b.failing[part]
	delete(b.failing, part)
	if part != partFollow { // who only follows need not have opened everything
		delete(b.failing, partStores)
	}
	return again
}

// onlyFollows forgets the failures of steps: they are another process's to tell now.
func (b *board) onlyFollows() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for part := range b.failing {
		if part != partFollow && part != partStores {
			delete(b.failing, part)
		}
	}
}

// steps forgets the failures of following, which this process does no more, and
// those of finding out who leads.
func (b *board) steps() {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.failing, partFollow)
	delete(b.failing, partStores)
}

// fails reports whether a part failed when it was last done.
func (b *board) fails(part string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, failing := b.failing[part]
	return failing
}
