package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// Run is a handle to a run that is going on. It is safe for concurrent use.
//
// A nil *Run is a run that nobody tracks: every method does nothing and
// returns zero values, and Artifact returns NotFound. Code that logs needs no
// test for it.
type Run struct {
	client  *Client
	info    RunInfo       // as it was at the start
	writing chan struct{} // holds a token while somebody writes the run's records to the store
	out     records       // taken from waiting, not yet written; owned by who holds the token
	dropped atomic.Int64

	mu      sync.Mutex
	waiting records
	ending  bool   // no more records
	ended   Status // "" before
	noted   []error
	failing bool // the last write in the background failed
}

// maxNoted bounds the memory that wrong records take.
const maxNoted = 100

func newRun(c *Client, info RunInfo) *Run {
	return &Run{client: c, info: info, writing: make(chan struct{}, 1)}
}

// ID returns the run's identifier.
func (r *Run) ID() string {
	if r == nil {
		return ""
	}
	return r.info.ID
}

// Info returns the run as it was when the handle was made.
func (r *Run) Info() RunInfo {
	if r == nil {
		return RunInfo{}
	}
	return r.info
}

// LogMetric adds a point to the metric: its value, which may be NaN or ±Inf,
// at the step, stamped with the client's time. It never blocks; a wrong key
// is reported by Finish.
func (r *Run) LogMetric(key string, value float64, step int64) {
	if r == nil {
		return
	}
	if problem := keyProblem("metric", key); problem != "" {
		r.reject(fault.Errorf(ErrInvalid, "%s", problem))
		return
	}
	if value == 0 {
		value = 0 // databases do not keep the sign of zero
	}
	m := Metric{Key: key, Value: value, Step: step, Time: r.client.timestamp()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.admit(1) {
		r.waiting.metrics = append(r.waiting.metrics, m)
		if len(r.waiting.metrics)%batchMetrics == 0 {
			r.client.wakeFlusher()
		}
	}
}

// LogParam sets a param, for good: logging another value later is an
// AlreadyExists error, reported by Finish. It never blocks.
func (r *Run) LogParam(key, value string) {
	if r == nil {
		return
	}
	var c checks
	c.add(keyProblem("param", key))
	c.add(textProblem(fmt.Sprintf("value of param %q", key), value, maxParamLength))
	if err := c.Err(); err != nil {
		r.reject(err)
		return
	}
	r.add(func(w *records) { w.params = append(w.params, pair{key, value}) },
		"param "+key)
}

// LogParams calls LogParam for each entry.
func (r *Run) LogParams(params map[string]string) {
	for _, key := range sortedKeys(params) {
		r.LogParam(key, params[key])
	}
}

// SetTag sets a tag; the last value counts. It never blocks; a wrong key or
// value is reported by Finish.
func (r *Run) SetTag(key, value string) {
	if r == nil {
		return
	}
	var c checks
	c.add(keyProblem("tag", key))
	c.add(textProblem(fmt.Sprintf("value of tag %q", key), value, maxTagLength))
	if err := c.Err(); err != nil {
		r.reject(err)
		return
	}
	r.add(func(w *records) { w.tags = append(w.tags, pair{key, value}) },
		"tag "+key)
}

// LogInput says that the run read a data set. It never blocks; a wrong field
// is reported by Finish.
func (r *Run) LogInput(in Input) {
	if r == nil {
		return
	}
	if err := checkInput(in); err != nil {
		r.reject(err)
		return
	}
	r.add(func(w *records) { w.inputs = append(w.inputs, in) },
		"input "+in.Name)
}

// add puts a record that is not a metric in the queue. Unlike one point of
// many, such a record is missed: if it is dropped, Finish says so.
func (r *Run) add(put func(*records), what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.admit(1) {
		put(&r.waiting)
		return
	}
	if !r.ending {
		r.note(fault.Errorf(ErrUnavailable, "%s was dropped: the queue was full", what))
	}
}

// admit reports whether n more records fit, and counts them. r.mu is held.
func (r *Run) admit(n int64) bool {
	if !r.ending && r.client.queued.Add(n) <= r.client.queueSize {
		return true
	}
	if !r.ending {
		r.client.queued.Add(-n)
		r.client.wakeFlusher()
	}
	r.drop(n)
	return false
}

func (r *Run) drop(n int64) {
	r.dropped.Add(n)
	r.client.dropped.Add(n)
}

// reject notes what is wrong with a record that is not stored.
func (r *Run) reject(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(err)
}

// note keeps an error for Finish. r.mu is held.
func (r *Run) note(err error) {
	known := func(e error) bool { return e.Error() == err.Error() }
	if len(r.noted) >= maxNoted || slices.ContainsFunc(r.noted, known) {
		return
	}
	r.noted = append(r.noted, err)
	r.client.log.Warn("tracking: a record is not stored", "run", r.info.ID, "error", err)
}

// problems returns what was wrong with the run's records.
func (r *Run) problems() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return joined(r.noted)
}

// refuse takes no more records from now on.
func (r *Run) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ending = true
}

// Dropped returns the number of the run's records that were not stored because
// they found the queue full, or came after its end.
func (r *Run) Dropped() int64 {
	if r == nil {
		return 0
	}
	return r.dropped.Load()
}

// Flush makes everything that was logged before durable. Errors: Unavailable,
// Closed; what waits stays in the queue.
func (r *Run) Flush(ctx context.Context) error {
	if r == nil {
		return nil
	}
	if err := r.flush(ctx); err != nil {
		return fmt.Errorf("tracking: flush run %s: %w", r.info.ID, err)
	}
	return nil
}

// Finish makes everything durable and marks the run as FINISHED. When the
// store cannot be written the run stays RUNNING, and Finish may be called
// again. When a record was wrong (a bad key, a param with another value, a
// param or tag that found the queue full), the run is finished all the same,
// all other records are stored, and the error names each wrong one.
//
// Errors: Unavailable, Closed; Conflict when the run was marked as failed;
// Invalid and AlreadyExists of wrong records.
func (r *Run) Finish(ctx context.Context) error {
	if r == nil {
		return nil
	}
	return r.end(ctx, Finished, "")
}

// stopTime is how long Fail tries when its context has ended already.
const stopTime = 5 * time.Second

// Fail is Finish for a run that did not succeed: it marks the run as FAILED
// because of err, or as KILLED when err is context.Canceled. A context that is
// done does not keep it from doing so, within 5 seconds.
func (r *Run) Fail(ctx context.Context, err error) error {
	if r == nil {
		return nil
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
	}
	status, cause := Failed, "failed"
	if errors.Is(err, context.Canceled) {
		status = Killed
	}
	if err != nil {
		cause = shorten(err.Error())
	}
	return r.end(ctx, status, cause)
}

func (r *Run) end(ctx context.Context, status Status, cause string) error {
	if err := r.setEnded(ctx, status, cause); err != nil {
		return fmt.Errorf("tracking: end run %s: %w", r.info.ID, err)
	}
	if err := r.problems(); err != nil {
		return fmt.Errorf("tracking: run %s is %s, but some records were wrong: %w", r.info.ID, status, err)
	}
	return nil
}

func (r *Run) setEnded(ctx context.Context, status Status, cause string) error {
	r.refuse()
	if err := r.lockWriting(ctx); err != nil {
		return err
	}
	defer r.unlockWriting()
	switch r.ended {
	case "":
	case status:
		return nil
	default:
		return fault.Errorf(ErrConflict, "the run is %s already", r.ended)
	}
	if err := r.write(ctx); err != nil {
		return err
	}
	info := r.info
	info.Status, info.Error, info.EndedAt = status, cause, r.client.timestamp()
	if err := r.client.store.UpdateRun(ctx, info); err != nil {
		return err
	}
	r.ended = status
	r.client.forget(r)
	if n := r.dropped.Load(); n > 0 {
		r.client.log.Warn("tracking: records were dropped", "run", r.info.ID, "count", n)
	}
	return nil
}

// shorten cuts a text to what an error column holds, and mends its UTF-8.
func shorten(text string) string {
	runes := []rune(text) // invalid bytes become U+FFFD
	if len(runes) > maxErrorLength {
		runes = runes[:maxErrorLength]
	}
	return string(slices.DeleteFunc(runes, func(c rune) bool { return c == 0 || !utf8.ValidRune(c) }))
}
