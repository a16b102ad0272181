package drift

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/train/profile"
)

// Monitor watches one version of a model. It is safe for concurrent use.
// Observe puts an event into a queue and holds a lock for as long as that
// takes; Check works off the queue under another one, which no request waits
// for: some tens of nanoseconds a column of each row, and some microseconds a
// column every Options.Stride rows.
type Monitor struct {
	model   string
	version int64
	opts    Options

	reference atomic.Pointer[profile.Profile] // nil while it is being learned
	closed    atomic.Bool
	queue     queue
	counts    tally

	mu      sync.Mutex // of all below
	given   bool       // the reference came with Config
	inputs  inputWatch
	learn   learner
	repeats repeats
	errors  errorWatch
	open    []*episode // in the order of firing
	changed []*episode // since the last Check, in the order of their first change
	fired   int        // alerts so far
	told    int64      // dropped events that the log was told of
}

// New returns a monitor that has seen no answers. Its window begins with the
// reference's last rows, so that it can judge from the first answer on; without
// a reference it first learns one. Errors: Invalid, with everything that is
// wrong.
func New(c Config, opts *Options) (*Monitor, error) {
	o := opts.withDefaults(c.Reference)
	if err := c.check(o); err != nil {
		return nil, fmt.Errorf("drift: new monitor of %q: %w", c.Model, err)
	}
	m := &Monitor{model: c.Model, version: c.Version, opts: o, given: c.Reference != nil}
	m.queue.size = o.Queue
	m.learn.want = o.Learn
	m.errors = newErrorWatch(o, c.Usual)
	if m.given {
		m.watch(newInputWatch(c.Reference))
	}
	return m, nil
}

// watch begins to compare rows with the watch's reference.
func (m *Monitor) watch(w inputWatch) {
	m.inputs = w
	m.reference.Store(w.reference)
}

// Reference returns the profile that rows are compared with, nil while it is
// being learned.
func (m *Monitor) Reference() *profile.Profile { return m.reference.Load() }

// Check judges all events that wait, row by row: after every Options.Stride rows
// it compares the latest with the reference, and it looks at the errors after
// every label. It returns the alerts that fired, worsened or resolved since the
// last Check, each once and as it is now: one that fired and resolved among the
// events that waited comes resolved. Alerts bear the times of the rows and
// labels that made them fire or resolve; now is the time of events that have
// none. However the events are spread over calls of Check, the alerts are the
// same. Save them together with the monitor's state.
func (m *Monitor) Check(now time.Time) []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Load() {
		return nil
	}
	m.foldQueue(now)
	return m.takeChanged()
}

// takeChanged returns the alerts that changed, and forgets that they did.
func (m *Monitor) takeChanged() []Alert {
	var out []Alert
	for _, e := range m.changed {
		out = append(out, e.Alert.clone())
	}
	m.changed = nil
	return out
}

// Alerts returns the alerts that are firing as of the last Check, in the order
// of firing.
func (m *Monitor) Alerts() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Alert, 0, len(m.open))
	for _, e := range m.open {
		out = append(out, e.Alert.clone())
	}
	return out
}

// Close judges the events that wait, resolves the firing alerts for the reason,
// such as a new champion, and returns what changed. The monitor observes nothing
// from then on.
func (m *Monitor) Close(now time.Time, reason string) []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed.Swap(true) {
		return nil
	}
	m.foldQueue(now)
	for _, e := range m.open {
		m.resolve(e, millis(now), reason)
	}
	m.open = nil
	return m.takeChanged()
}

// millis is a time as stores keep it.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
