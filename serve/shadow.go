package serve

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mlloop/mlloop/internal/fault"
)

// shadowQueue asks challengers beside the requests: one goroutine, a bounded
// queue, and nothing of it reaches the caller.
type shadowQueue struct {
	server          *Server
	dropped, failed atomic.Int64

	mu      sync.Mutex
	closed  bool
	started bool
	jobs    chan shadowJob
	done    chan struct{}
}

type shadowJob struct {
	model   string
	version *version // a reference that the job gives back
	req     Request
}

func newShadowQueue(s *Server) *shadowQueue {
	return &shadowQueue{server: s, jobs: make(chan shadowJob, s.opts.ShadowQueue), done: make(chan struct{})}
}

// ask has v answer req, and gives v back afterwards.
func (q *shadowQueue) ask(ctx context.Context, model string, v *version, req *Request) {
	job := shadowJob{model, v, *req}
	if q.server.opts.ShadowSync {
		// The caller's patience is not the shadow's.
		q.answer(context.WithoutCancel(ctx), job)
		return
	}
	// The caller may reuse its tensors as soon as it has its answer.
	job.req.Inputs = cloneTensors(req.Inputs)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		if !q.started {
			q.started = true
			go q.run()
		}
		select {
		case q.jobs <- job:
			return
		default:
		}
	}
	v.release()
	if q.dropped.Add(1) == 1 {
		q.server.opts.Logger.Warn("serve: the shadow is slower than the traffic: it is not asked for every request", "model", model, "version", v.number)
	}
}

func (q *shadowQueue) run() {
	defer close(q.done)
	for job := range q.jobs {
		q.answer(context.Background(), job)
	}
}

func (q *shadowQueue) answer(ctx context.Context, job shadowJob) {
	defer job.version.release()
	job.req.Outputs = nil
	a, err := q.server.answer(ctx, job.version, &job.req)
	if err != nil {
		if q.failed.Add(1) == 1 {
			q.server.opts.Logger.Warn("serve: the shadow cannot answer", "model", job.model, "version", job.version.number, "error", err)
		}
		return
	}
	a.variant, a.propensity = Shadow, 1
	q.server.record(job.model, &job.req, &a)
}

// close lets the queue run empty.
func (q *shadowQueue) close(ctx context.Context) error {
	q.mu.Lock()
	started, first := q.started, !q.closed
	q.closed = true
	q.mu.Unlock()
	if first {
		close(q.jobs)
	}
	if !started {
		return nil
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return fault.Errorf(fault.Unavailable, "%d shadow requests were cut off: %w", len(q.jobs), ctx.Err())
	}
}
