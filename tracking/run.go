package tracking

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Run is a handle to a run that is going on. It is safe for concurrent use.
//
// A nil *Run is a run that nobody tracks: every method does nothing and
// returns zero values, and Artifact returns NotFound. Code that logs needs no
// test for it.
type Run struct {
	client  *Client
	info    RunInfo // as it was when the handle was made
	trouble *trouble
	queued  atomic.Int64 // records that wait
	dropped atomic.Int64
	kept    atomic.Bool // the client knows the trouble
	behind  atomic.Bool // the flusher has begun a write that has not ended

	writing chan struct{} // holds a token while somebody writes the run's records to the store
	// Owned by who holds the token:
	out          records // taken from waiting, not yet written
	part         records // taken from out: the batch that is being written
	search       search
	strangeSince time.Time // since when the store fails without saying why
	ended        Status    // "" before

	mu      sync.Mutex
	waiting records
	listed  bool // the client's flusher sees the run
	ending  bool // no more records
	failing bool // the last write in the background failed
	lines   []line
}

func newRun(c *Client, info RunInfo) *Run {
	return &Run{client: c, info: info, trouble: &trouble{run: info.ID}, writing: make(chan struct{}, 1)}
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
// at the step, stamped with the client's time. It never blocks,
// unless Options.QueueWait lets it; a wrong key is reported by Finish.
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
	r.put(func(w *records) {
		w.metrics = append(w.metrics, m)
		if len(w.metrics)%batchMetrics == 0 {
			r.client.wakeFlusher()
		}
	}, "")
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
	r.put(func(w *records) { w.params = append(w.params, pair{key, value}) },
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
	r.put(func(w *records) { w.tags = append(w.tags, pair{key, value}) },
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
	r.put(func(w *records) { w.inputs = append(w.inputs, in) },
		"input "+in.Name)
}

// Dropped returns the number of the run's records that were not stored because
// they found the queue full, came after its end, or were refused by the store.
func (r *Run) Dropped() int64 {
	if r == nil {
		return 0
	}
	return r.dropped.Load()
}

// Flush makes everything that was logged before durable. It returns when ctx is
// done, even if the store hangs. Errors: Unavailable, Closed; what waits stays
// in the queue.
func (r *Run) Flush(ctx context.Context) error {
	if r == nil {
		return nil
	}
	err := r.client.checkOpen()
	if err == nil {
		err = r.alone(ctx, r.write)
	}
	if err != nil {
		return fmt.Errorf("tracking: flush run %s: %w", r.info.ID, err)
	}
	return nil
}
