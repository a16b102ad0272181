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
	Failures     int       // retrainings in a row that failed or were rolled back
	Fruitless    int       // and that left the champion in place
	Alerts       []drift.Alert
	Unwatched    []drift.Unwatched // columns whose drift the monitor cannot see
	Learning     string            // the monitor has no reference yet; "": it has
	Log          serve.Stats       // queue, drops, shadow
	LabelLag     time.Duration     // from the latest prediction with a label to the last step; 0: no label has come
	Labels       LabelStatus
	Senders      []alert.Status
}

// LabelStatus counts what came of Config.Labels.
type LabelStatus struct {
	KnownAt time.Time // the latest that was read
	Unknown int64     // of predictions that are not in the log
	Refused int64     // that no version can answer
}

// Status tells where the loop stands, as of the end of its last step, and how
// its server does now. It waits for no step. Errors: the stores', for Senders.
func (l *Loop) Status(ctx context.Context) (Status, error) {
	s := l.status.snapshot()
	s.Model, s.Log = l.config.Model, l.server.Stats()
	if len(l.config.Alerts) == 0 {
		return s, nil
	}
	var err error
	if s.Senders, err = l.courier.Status(ctx, l.config.Now()); err != nil {
		err = fmt.Errorf("retrain: status of %s: %w", l.config.Model, err)
	}
	return s, err
}

// board is what a loop shows of itself. It has a lock of its own: a step that
// takes long keeps nobody from looking.
type board struct {
	mu      sync.Mutex
	status  Status
	failing map[string]Failure
}

// see takes over where the loop stands. The loop's turn is held.
func (b *board) see(l *Loop) {
	m := l.memory
	s := Status{
		SteppedAt: l.state.SteppedAt, Champion: m.Followed, Failures: m.Ledger.Failures, Fruitless: m.Ledger.Fruitless,
		Labels: LabelStatus(m.Labels), Alerts: l.firing(),
	}
	if m.Paused != nil {
		s.Paused, s.PausedSince = cmp.Or(m.Paused.Reason, "no reason given"), m.Paused.Since
	}
	if a := m.Attempt; a != nil {
		r := a.Retraining
		r.Causes, r.Verdicts, r.Metrics = slices.Clone(r.Causes), slices.Clone(r.Verdicts), maps.Clone(r.Metrics)
		s.Retraining = &r
	}
	if w := l.watcher; w != nil && w.monitor != nil {
		s.Unwatched = w.monitor.Unwatched()
		if have, want := w.monitor.Learning(); want > 0 {
			s.Learning = fmt.Sprintf("%d of %d rows", have, want)
		}
		if !w.labelled.IsZero() {
			s.LabelLag = max(0, l.state.SteppedAt.Sub(w.labelled))
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(m.Waits)) {
		s.Waiting = append(s.Waiting, m.Waits[topic])
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = s
}

func (b *board) snapshot() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Waiting, s.Alerts = slices.Clone(s.Waiting), slices.Clone(s.Alerts)
	for _, part := range slices.Sorted(maps.Keys(b.failing)) {
		f := b.failing[part]
		s.Failing = append(s.Failing, f)
		if s.FailingSince.IsZero() || f.Since.Before(s.FailingSince) {
			s.FailingSince, s.LastError = f.Since, f.Part+": "+f.Error
		}
	}
	return s
}

// fail notes that a part failed.
func (b *board) fail(now time.Time, part string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, failing := b.failing[part]
	if !failing {
		f = Failure{Part: part, Since: now}
	}
	f.Count, f.Error = f.Count+1, err.Error()
	if b.failing == nil {
		b.failing = make(map[string]Failure)
	}
	b.failing[part] = f
}

// succeed notes that a part works.
func (b *board) succeed(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.failing, part)
	if part != partStores {
		delete(b.failing, partStores)
	}
}
