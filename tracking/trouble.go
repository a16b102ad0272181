package tracking

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
)

// The memory that wrong records take is bounded.
const (
	maxNoted    = 100 // errors that a run keeps
	maxTroubled = 100 // runs that a client keeps the errors of
)

// DroppedError says how many records of a run were not stored because they
// found the queue full. It is an ErrUnavailable. Raise Options.QueueSize, or
// set Options.QueueWait.
type DroppedError struct {
	Records int64
}

// Error implements error.
func (e *DroppedError) Error() string {
	return fmt.Sprintf("%d records were dropped: the queue was full: raise tracking.Options.QueueSize or set QueueWait", e.Records)
}

// Unwrap returns ErrUnavailable.
func (e *DroppedError) Unwrap() error { return ErrUnavailable }

// trouble is what was wrong with a run's records. The client keeps it until the
// run ends, so that Close can tell it although the handle is gone.
type trouble struct {
	run string

	mu       sync.Mutex
	noted    []error
	more     int64 // errors that are too many to keep
	overflow int64 // records that found the queue full
}

// note keeps an error, and reports whether it is one to tell of.
func (t *trouble) note(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := func(e error) bool { return e.Error() == err.Error() }
	if slices.ContainsFunc(t.noted, known) {
		return false
	}
	if len(t.noted) >= maxNoted {
		t.more++
		return false
	}
	t.noted = append(t.noted, err)
	return true
}

// full counts a record that found the queue full, and reports whether it is
// the first one.
func (t *trouble) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.overflow++
	return t.overflow == 1
}

// err returns all of it as one error, or nil.
func (t *trouble) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	if t.overflow > 0 {
		errs = append(errs, &DroppedError{Records: t.overflow})
	}
	errs = append(errs, t.noted...)
	if t.more > 0 {
		errs = append(errs, fault.Errorf(ErrInvalid, "%d more were wrong", t.more))
	}
	return joined(errs)
}

// keepTrouble keeps t for Close.
func (c *Client) keepTrouble(t *trouble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.troubled[t.run]; !ok && len(c.troubled) >= maxTroubled {
		c.untold++
		return
	}
	c.troubled[t.run] = append(c.troubled[t.run], t)
}

// forgetTrouble is for a run whose end has told it.
func (c *Client) forgetTrouble(t *trouble) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := slices.DeleteFunc(c.troubled[t.run], func(other *trouble) bool { return other == t })
	if len(kept) == 0 {
		delete(c.troubled, t.run)
		return
	}
	c.troubled[t.run] = kept
}

// troubles returns what was wrong with the records of runs that have not
// ended.
func (c *Client) troubles() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, run := range sortedKeys(c.troubled) {
		for _, t := range c.troubled[run] {
			if err := t.err(); err != nil {
				errs = append(errs, fmt.Errorf("run %s: %w", run, err))
			}
		}
	}
	if c.untold > 0 {
		errs = append(errs, fault.Errorf(ErrUnavailable, "records of %d more runs were wrong or dropped", c.untold))
	}
	return errs
}

// joinedErrors prints its errors on one line.
type joinedErrors []error

func (es joinedErrors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

func (es joinedErrors) Unwrap() []error { return es }

// joined returns nil without errors, else one that holds them all.
func joined(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return joinedErrors(errs)
}

// dropNoted notes what is wrong with n records that were taken from the queue
// and are not stored.
func (r *Run) dropNoted(n int, err error) {
	r.drop(int64(n))
	r.note(err)
}

// reject notes what is wrong with a record that does not go into the queue.
func (r *Run) reject(err error) {
	if r.refuses() {
		r.drop(1)
		return
	}
	r.note(err)
	r.tell()
}

// note keeps an error for the run's end, and for tell.
func (r *Run) note(err error) {
	if r.trouble.note(err) {
		r.client.keepIfFirst(r)
		r.say(line{warn: true, text: "tracking: a record is not stored", attrs: []any{"run", r.info.ID, "error", err}})
	}
}

// keepIfFirst has the client keep the run's trouble, once.
func (c *Client) keepIfFirst(r *Run) {
	if r.kept.CompareAndSwap(false, true) {
		c.keepTrouble(r.trouble)
	}
}

// line is one for the client's logger. Handlers may log to the run in turn, so
// lines are written by tell, while no lock is held.
type line struct {
	warn  bool
	text  string
	attrs []any
}

func (r *Run) say(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, l)
}

// tell writes what was said to the logger. Neither r.mu nor the token is held.
func (r *Run) tell() {
	r.mu.Lock()
	lines := r.lines
	r.lines = nil
	r.mu.Unlock()
	for _, l := range lines {
		if l.warn {
			r.client.log.Warn(l.text, l.attrs...)
		} else {
			r.client.log.Info(l.text, l.attrs...)
		}
	}
}
