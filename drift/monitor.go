package drift

import (
	"fmt"
	"sync"
	"time"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// Monitor watches one version of a model. It is safe for concurrent use: the
// Observe methods hold a lock for less than a microsecond, Check for some
// microseconds a column every Options.Every rows.
type Monitor struct {
	model   string
	version int64
	opts    Options

	mu     sync.Mutex
	inputs inputWatch
	errors errorWatch
	open   []*episode // in the order of firing
	fired  int        // alerts so far
	closed bool
}

// New returns a monitor that has seen no answers. Its window begins with the
// reference's last rows, so that it can judge from the first answer on.
// Errors: Invalid, with everything that is wrong.
func New(c Config, opts *Options) (*Monitor, error) {
	o := opts.withDefaults(c.Reference)
	if err := c.check(o); err != nil {
		return nil, fmt.Errorf("drift: new monitor of %q: %w", c.Model, err)
	}
	m := &Monitor{model: c.Model, version: c.Version, opts: o}
	m.inputs = newInputWatch(c.Reference, o)
	m.errors = newErrorWatch(o)
	for _, x := range c.Errors {
		m.errors.learn(x)
	}
	m.errors.begin()
	return m, nil
}

// Reference returns the profile that rows are compared with.
func (m *Monitor) Reference() *profile.Profile {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inputs.reference
}

// ObservePrediction takes the features of a row that was answered. Columns
// that the reference lacks are passed over; those that the row lacks count as
// missing. The other arguments are not used.
func (m *Monitor) ObservePrediction(_ time.Time, _ string, features frame.Row, _ frame.Value, _ []float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.inputs.observe(features)
	}
}

// ObserveLabel takes an answer and the truth. An error that is NaN, infinite or
// beyond ±10¹⁰⁰ is passed over.
func (m *Monitor) ObserveLabel(_ time.Time, _ string, output, label frame.Value) {
	x := m.opts.Error(output, label)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.errors.observe(x)
	}
}

// Check compares the latest rows with the reference, if Options.Every have
// come since the last time, and returns the alerts that fired or resolved
// since the last Check. Save them together with the monitor's state.
func (m *Monitor) Check(now time.Time) []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	now = now.UTC().Truncate(time.Millisecond)
	changed := m.checkInputs(now)
	changed = append(changed, m.checkErrors(now)...)
	return changed
}

// Alerts returns the alerts that are firing, in the order of firing.
func (m *Monitor) Alerts() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Alert, 0, len(m.open))
	for _, e := range m.open {
		out = append(out, e.Alert.clone())
	}
	return out
}

// Close resolves the firing alerts for the reason, such as a new champion, and
// returns them. The monitor observes nothing from then on.
func (m *Monitor) Close(now time.Time, reason string) []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	now = now.UTC().Truncate(time.Millisecond)
	var changed []Alert
	for _, e := range m.open {
		changed = append(changed, m.resolve(e, now, reason))
	}
	m.open = nil
	return changed
}
