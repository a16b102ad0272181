package serve

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// ShadowOptions say how the shadows of a server are asked, each model's apart.
// The zero value of each field is its default.
type ShadowOptions struct {
	Workers    int           // answers at a time; 0: 1
	Timeout    time.Duration // for each answer; 0: 5 s
	QueueRows  int           // rows that may wait; 0: 1,024
	QueueBytes int64         // of inputs that may wait; 0: 64 MiB
	Rate       float64       // rows a second of Options.Now at most, chosen by a hash of the routing key, so that the same keys are asked as long as the traffic is even; 0: all
}

func (o *ShadowOptions) setDefaults() {
	o.Workers = cmp.Or(o.Workers, 1)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.QueueRows = cmp.Or(o.QueueRows, 1024)
	o.QueueBytes = cmp.Or(o.QueueBytes, 64<<20)
}

// maxTimeouts is after how many answers in a row that came too late a shadow's
// queue is emptied: what waits would only come too late as well.
const maxTimeouts = 3

// shadowQueue asks one model's shadow behind the requests' backs. Its workers
// start with the first job and end when none waits.
type shadowQueue struct {
	server    *Server
	model     *served
	unsampled atomic.Int64
	quit      chan struct{} // closed by close

	mu       sync.Mutex // never held for long
	jobs     []shadowJob
	rows     int   // of the jobs, and of those whose inputs are being copied
	bytes    int64 // likewise
	workers  int
	timeouts int // in a row
	closed   bool
	warned   bool
	idle     []chan struct{} // closed when nothing waits and no worker runs
	sampler  sampler
}

// shadowJob is one question to a shadow. Either rows or inputs say what is asked.
type shadowJob struct {
	version *version // a reference that the job gives back
	req     Request  // without inputs
	first   int      // Index of the first row
	n       int
	bytes   int64
	rev     int64
	at      time.Time   // when the row was asked, which is logged: that of the answer says how busy the shadow was
	logged  []frame.Row // as the answer's version read them: what is logged if the shadow cannot read its own
	digests []uint64    // of logged: what names the attempt
	inputs  []frame.Tensor
	rows    []frame.Row
}

// shadows returns the model's queue, making it when there is none.
func (s *Server) shadows(m *served) *shadowQueue {
	if q := m.shadows.Load(); q != nil {
		return q
	}
	q := &shadowQueue{server: s, model: m, quit: make(chan struct{}), closed: s.closed.Load()}
	if !m.shadows.CompareAndSwap(nil, q) {
		return m.shadows.Load()
	}
	return q
}

// eachShadow calls fn for every model's queue and joins the errors.
func (s *Server) eachShadow(fn func(q *shadowQueue) error) error {
	var errs []error
	s.byName.Range(func(_, m any) bool {
		if q := m.(*served).shadows.Load(); q != nil {
			errs = append(errs, fn(q))
		}
		return true
	})
	return errors.Join(errs...)
}

// offer has the grip's shadow asked what a was asked, if there is room. It
// takes over the reference to the shadow.
func (q *shadowQueue) offer(g *grip, req *Request, a *answer) {
	v := g.shadow
	g.shadow = nil
	job := shadowJob{version: v, req: *req, rev: a.rev, at: a.at}
	job.req.Inputs, job.req.Outputs = nil, nil
	// A predictor of rows shares those that were made for the log; others need the caller's tensors.
	share := v.shape.rows != nil && len(a.rows) > 0 && v.shape.columns.Equal(a.rows[0].Schema)
	if job.bytes = bytesOf(req.Inputs); share {
		job.bytes = 40 * int64(len(a.rows)*len(v.shape.columns))
	}
	n := q.reserve(&job, q.sample(a.at, req.Key, a.n), a.n)
	if n == 0 {
		return
	}
	if share {
		job.rows = a.rows[:n]
	} else {
		job.inputs = cloneTensors(req.Inputs, n, a.n)
	}
	if len(a.rows) > 0 {
		job.logged, job.digests = a.rows[:n], make([]uint64, n)
		for i, row := range job.logged {
			job.digests[i] = Digest(row)
		}
	}
	q.put(job)
}

// sample returns how many of a request's n rows the rate lets through. It goes
// by the server's clock: a replay in virtual time samples as the traffic would be.
func (q *shadowQueue) sample(at time.Time, key string, n int) int {
	rate := q.server.opts.Shadow.Rate
	if rate <= 0 {
		return n
	}
	q.mu.Lock()
	taken := q.sampler.take(at, key, n, rate)
	q.mu.Unlock()
	q.unsampled.Add(int64(n - taken))
	return taken
}

// reserve takes places in the queue for the first of the job's wanted rows, out
// of n that its bytes are of, and returns for how many. The job's reference is
// given back when it is 0; rows that find no place are counted.
func (q *shadowQueue) reserve(job *shadowJob, wanted, n int) int {
	o, v := &q.server.opts.Shadow, job.version
	each := job.bytes/int64(max(n, 1)) + 1
	q.mu.Lock()
	room := int(min(int64(o.QueueRows-q.rows), (o.QueueBytes-q.bytes)/each, int64(wanted)))
	if q.closed || v.hung.Load() >= int64(q.server.opts.Canary.MaxAbandoned) {
		room = 0
	}
	room = max(room, 0)
	job.n, job.bytes = room, int64(room)*each
	q.rows += job.n
	q.bytes += job.bytes
	first := room < wanted && !q.warned && !q.closed
	q.warned = q.warned || first
	q.mu.Unlock()
	v.metrics.dropped.Add(int64(wanted - room))
	if first {
		q.server.opts.Logger.Warn("serve: the shadow is slower than the traffic, or hangs: it is not asked for every row", "model", q.model.name, "version", v.number)
	}
	if room == 0 {
		v.release()
	}
	return room
}

// put queues a job that has its places.
func (q *shadowQueue) put(job shadowJob) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.dropped(job)
		return
	}
	q.jobs = append(q.jobs, job)
	if q.workers < q.server.opts.Shadow.Workers {
		q.workers++
		go q.work()
	}
}

// dropped gives up a job that waited. q.mu is held.
func (q *shadowQueue) dropped(job shadowJob) {
	q.rows -= job.n
	q.bytes -= job.bytes
	job.version.metrics.dropped.Add(int64(job.n))
	job.version.release()
}

// work answers jobs until none waits.
func (q *shadowQueue) work() {
	for {
		q.mu.Lock()
		if len(q.jobs) == 0 {
			q.workers--
			if q.workers == 0 {
				for _, c := range q.idle {
					close(c)
				}
				q.idle = nil
			}
			q.mu.Unlock()
			return
		}
		job := q.jobs[0]
		q.jobs[0] = shadowJob{}
		q.jobs = q.jobs[1:]
		q.rows -= job.n
		q.bytes -= job.bytes
		q.mu.Unlock()
		q.ended(q.ask(job))
	}
}

// ask asks the shadow, records what came of it and says how it ended.
func (q *shadowQueue) ask(job shadowJob) Status {
	s, v := q.server, job.version
	defer v.release()
	if v.hung.Load() >= int64(s.opts.Canary.MaxAbandoned) {
		v.metrics.dropped.Add(int64(job.n))
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Shadow.Timeout)
	defer cancel()
	a := answer{version: v, n: job.n, rows: job.rows, digests: job.digests}
	began := time.Now()
	b, err := batch{n: job.n}, error(nil)
	if job.rows == nil {
		job.req.Inputs = job.inputs
		b, a.rows, err = s.read(v, &job.req)
		job.req.Inputs = nil
	}
	if err == nil {
		o, _ := s.runApart(ctx, q.quit, v, b, a.rows)
		a.outputs, err = o.outputs, o.err
	}
	if errors.Is(err, errQuit) {
		v.metrics.dropped.Add(int64(job.n))
		return ""
	}
	a.end(ctx, began, err)
	a.variant, a.propensity, a.rev, a.at = Shadow, 1, job.rev, job.at
	if a.status == frame.Refused { // what the primary takes a challenger must take
		a.status = frame.Failed
	}
	if a.rows == nil {
		a.rows = job.logged
	}
	if a.err != nil && s.shadowFailed.Add(1) == 1 {
		s.opts.Logger.Warn("serve: the shadow cannot answer", "model", q.model.name, "version", v.number, "error", a.err)
	}
	s.recordFrom(q.model, &job.req, &a, job.first)
	return a.status
}

// ended empties the queue when the shadow has been late several times in a row.
func (q *shadowQueue) ended(status Status) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if status != frame.TimedOut {
		q.timeouts = 0
		return
	}
	if q.timeouts++; q.timeouts >= maxTimeouts {
		q.timeouts = 0
		q.empty()
	}
}

// empty drops what waits. q.mu is held.
func (q *shadowQueue) empty() {
	for _, job := range q.jobs {
		q.dropped(job)
	}
	q.jobs = nil
}

// queued returns how many rows wait.
func (q *shadowQueue) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rows
}

// drain waits until nothing waits and no worker runs.
func (q *shadowQueue) drain(ctx context.Context) error {
	q.mu.Lock()
	if q.workers == 0 {
		q.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	q.idle = append(q.idle, idle)
	q.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fault.Errorf(fault.Unavailable, "%d rows wait for the shadow of %s: %w", q.queued(), q.model.name, ctx.Err())
	}
}

// close drops what waits and ends the workers, which leave running answers behind.
func (q *shadowQueue) close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.quit)
		q.empty()
	}
	q.mu.Unlock()
	return q.drain(ctx)
}

// Drain waits until the shadows have been asked everything that was answered
// before the call, each answer until its own deadline, and then stores all, as
// Flush does. A shadow that hangs is left behind at its deadline; one that was
// late three times in a row loses what waits. Errors: Unavailable when ctx is
// done before; the store's.
func (s *Server) Drain(ctx context.Context) error {
	err := s.eachShadow(func(q *shadowQueue) error { return q.drain(ctx) })
	if err != nil {
		return fault.Errorf(fault.Unavailable, "serve: drain: %w", err)
	}
	return s.Flush(ctx)
}
