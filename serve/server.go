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
	Log      Store             // keeps predictions, labels and routes, and stays open; nil: nothing is logged, routes live in memory
	Observer Observer          // is told of every answer and label; nil: nobody
	Flavors  map[string]Loader // by Manifest.Flavor, besides "mlloop.classifier"
	Now      func() time.Time  // stamps predictions and labels; nil: time.Now
	Logger   *slog.Logger      // nil: silent

	MaxBatchRows  int           // rows a request may have; 0: 10,000
	QueueSize     int           // rows that may wait for the log before new ones are dropped; 0: 65,536
	FlushInterval time.Duration // what a crash may lose of the log; 0: 200 ms
	PollInterval  time.Duration // between Run's looks at aliases and routes; 0: 5 s
	KeepWarm      int           // versions kept loaded after they left the route, for rollback; 0: 2, negative: none

	ShadowSync  bool // ask the shadow before answering: for tests and replays, in which every shadow answer must be logged
	ShadowQueue int  // requests that may wait for the shadow before they are passed over; 0: 256
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
	out.ShadowQueue = cmp.Or(out.ShadowQueue, 256)
	return out
}

// Server answers requests with the versions that its routes name, logs every
// answer and takes labels later. It is safe for concurrent use.
type Server struct {
	models Models
	opts   Options
	log    *predictionLog // nil: nothing is logged
	shadow *shadowQueue
	byName sync.Map // model name → *served
	closed atomic.Bool
}

// New returns a server without models: Load, Add or Restore brings them. It
// does no I/O. models may be nil when all versions are added by hand.
func New(models Models, opts *Options) *Server {
	s := &Server{models: models, opts: opts.withDefaults()}
	if s.opts.Log != nil {
		s.log = newLog(s.opts.Log, &s.opts)
	}
	s.shadow = newShadowQueue(s)
	return s
}

// model returns the named model, making room for it when it is new.
func (s *Server) model(name string) *served {
	m, ok := s.byName.Load(name)
	if !ok {
		m, _ = s.byName.LoadOrStore(name, &served{name: name, loaded: map[int64]*version{}})
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
// a label that comes later finds its prediction. Errors: the store's; what
// could not be stored stays queued.
func (s *Server) Flush(ctx context.Context) error {
	if s.log == nil {
		return nil
	}
	if err := s.log.flush(ctx); err != nil {
		return fmt.Errorf("serve: flush the prediction log: %w", err)
	}
	return nil
}

// Close refuses further requests, lets the shadow answer what waits for it,
// stores what was answered and lets go of the models. Call it after the last
// request: stop the HTTP server first. Errors: Unavailable, with the number of
// predictions that could not be stored before ctx was done.
func (s *Server) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.shadow.close(ctx)
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
	Queued        int   // predictions that wait to be stored
	Dropped       int64 // predictions that were answered but not logged
	ShadowDropped int64 // requests that the shadow was not asked for: its queue was full
	ShadowFailed  int64 // requests that the shadow could not answer
}

// Stats returns what the server has counted.
func (s *Server) Stats() Stats {
	var st Stats
	if s.log != nil {
		st.Queued, st.Dropped = s.log.backlog()
	}
	st.ShadowDropped, st.ShadowFailed = s.shadow.dropped.Load(), s.shadow.failed.Load()
	return st
}
