package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
)

// Models is where versions come from. *registry.Client is one.
type Models interface {
	// Resolve returns the version that ref names: name@alias or name/number.
	Resolve(ctx context.Context, ref string) (registry.Version, error)
	// Load returns the bundle of the version that ref names, verified.
	Load(ctx context.Context, ref string) (*bundle.Bundle, registry.Version, error)
}

var _ Models = (*registry.Client)(nil)

// Loader makes a Predictor of a bundle. Close, when the Predictor has that
// method, is called after the last request.
type Loader func(b *bundle.Bundle) (Predictor, error)

// Options are a Server's settings. The zero value of each is its default.
type Options struct {
	Log       Store               // keeps predictions, labels and routes, and stays open; nil: nothing is logged, routes live in memory
	Observers map[string]Observer // by model, each told of that model's answers and labels; nil: nobody. For services without a loop, whose monitor the log feeds
	Flavors   map[string]Loader   // by Manifest.Flavor, besides "mlloop.classifier"
	Now       func() time.Time    // stamps predictions and labels; nil: time.Now
	Logger    *slog.Logger        // nil: silent

	MaxBatchRows  int           // rows a request may have; 0: 10,000
	QueueSize     int           // rows that may wait for the log before new ones are dropped; 0: 65,536
	FlushInterval time.Duration // what a crash may lose of the log; 0: 200 ms
	PollInterval  time.Duration // between Run's looks at aliases and routes; 0: 5 s
	KeepWarm      int           // versions kept loaded after they left the route, for rollback; 0: 2, negative: none

	Shadow ShadowOptions
	Canary CanaryOptions
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	out.MaxBatchRows = cmp.Or(out.MaxBatchRows, 10_000)
	out.QueueSize = cmp.Or(out.QueueSize, defaultQueueSize)
	out.FlushInterval = cmp.Or(out.FlushInterval, defaultFlushInterval)
	out.PollInterval = cmp.Or(out.PollInterval, 5*time.Second)
	out.KeepWarm = max(0, cmp.Or(out.KeepWarm, 2))
	out.Shadow.setDefaults()
	out.Canary.setDefaults()
	return out
}

// Server answers requests with the versions that its routes name, logs every
// answer and takes labels later. It is safe for concurrent use.
type Server struct {
	models Models
	opts   Options
	log    *predictionLog // nil: nothing is logged
	byName sync.Map       // model name → *served
	closed atomic.Bool

	fallbacks, abandoned, shadowFailed, labelsRefused, observerPanics atomic.Int64
}

// New returns a server without models: Load, Add or Restore brings them. It
// does no I/O. models may be nil when all versions are added by hand.
func New(models Models, opts *Options) *Server {
	s := &Server{models: models, opts: opts.withDefaults()}
	if s.opts.Log != nil {
		s.log = newLog(s.opts.Log, &s.opts)
	}
	return s
}

// model returns the named model, making room for it when it is new.
func (s *Server) model(name string) *served {
	m, ok := s.byName.Load(name)
	if !ok {
		m, _ = s.byName.LoadOrStore(name, &served{name: name, loaded: map[int64]*version{}, metrics: map[int64]*versionMetrics{}})
	}
	return m.(*served)
}

// open returns nil until Close. Errors: Closed.
func (s *Server) open() error {
	if s.closed.Load() {
		return fault.Errorf(fault.Closed, "the server is closed")
	}
	return nil
}

// find returns a model that has a route. Errors: NotFound, Closed.
func (s *Server) find(name string) (*served, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if m, ok := s.byName.Load(name); ok && m.(*served).current.Load() != nil {
		return m.(*served), nil
	}
	return nil, fault.Errorf(fault.NotFound, "model %q is not served", name)
}

// Models returns the names of the models that are served, sorted.
func (s *Server) Models() []string {
	names := map[string]bool{}
	s.byName.Range(func(name, m any) bool {
		if m.(*served).current.Load() != nil {
			names[name.(string)] = true
		}
		return true
	})
	return slices.Sorted(maps.Keys(names))
}

// Flush returns when everything that was answered before the call is durable:
// a label that comes later finds its prediction. It does not wait for shadows:
// Drain does. Errors: the store's; what could not be stored stays queued.
func (s *Server) Flush(ctx context.Context) error {
	if s.log == nil {
		return nil
	}
	if err := s.log.flush(ctx); err != nil {
		return fmt.Errorf("serve: flush the prediction log: %w", err)
	}
	return nil
}

// Close refuses further requests, stores what was answered and lets go of the
// models. Call it after the last request: stop the HTTP server first. What waits
// for a shadow is dropped, unless Drain was called before, and a version that
// hangs is waited for by nobody: it is closed when it returns. Errors:
// Unavailable, with the number of predictions that could not be stored before
// ctx was done.
func (s *Server) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.eachShadow(func(q *shadowQueue) error { return q.close(ctx) })
	if s.log != nil {
		err = errors.Join(err, s.log.close(ctx))
	}
	s.byName.Range(func(_, m any) bool {
		m.(*served).unload()
		return true
	})
	if err != nil {
		return fmt.Errorf("serve: close: %w", err)
	}
	return nil
}

// unload gives back the server's references, once.
func (m *served) unload() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current.Store(nil)
	for _, v := range m.loaded {
		v.release()
	}
	clear(m.loaded)
}

// Dropped returns how many predictions were answered but not logged, because
// the queue was full or the store refused them.
func (s *Server) Dropped() int64 { return s.Stats().Dropped }

// Stats is what a server has counted since New.
type Stats struct {
	Queued         int   // predictions that wait to be stored
	Dropped        int64 // predictions that were answered but not logged
	ShadowQueued   int   // rows that wait for a shadow
	ShadowDropped  int64 // rows that a shadow was not asked: its queue was full, it hung or the server closed
	ShadowFailed   int64 // requests that a shadow did not answer
	Fallbacks      int64 // requests that the primary answered in place of a canary
	Abandoned      int64 // calls of canaries and shadows that run on, at present, after their time was over
	LabelsRefused  int64 // labels that no version on the route could have answered
	ObserverPanics int64
}

// Stats returns what the server has counted.
func (s *Server) Stats() Stats {
	var st Stats
	if s.log != nil {
		st.Queued, st.Dropped = s.log.backlog()
	}
	for _, m := range s.Metrics() {
		st.ShadowQueued += m.ShadowQueued
		for _, n := range m.ShadowDropped {
			st.ShadowDropped += n
		}
	}
	st.ShadowFailed, st.Fallbacks, st.Abandoned = s.shadowFailed.Load(), s.fallbacks.Load(), s.abandoned.Load()
	st.LabelsRefused, st.ObserverPanics = s.labelsRefused.Load(), s.observerPanics.Load()
	return st
}
