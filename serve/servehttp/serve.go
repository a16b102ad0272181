package servehttp

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// ServeOptions are the settings of Serve. The zero value of each is its default.
type ServeOptions struct {
	// Drain turns readiness off when ctx is done; nil: the handler's own method
	// Drain, when it has one as *Handler does. A mux has none: name it here.
	Drain func()
	// DrainDelay is how long requests are still taken after that: as long as a
	// load balancer takes to notice (the period of its check times the failures
	// that it allows). 0: not at all.
	DrainDelay      time.Duration
	ShutdownTimeout time.Duration // for requests in flight to end after DrainDelay; 0: 10 s

	HeaderTimeout  time.Duration // for a request's header to come; 0: 10 s
	IdleTimeout    time.Duration // of a connection between requests, longer than that of a proxy in front; 0: 2 min
	MaxHeaderBytes int           // of a request; 0: 64 KiB
	StallTimeout   time.Duration // longest pause of a client that sends a body; a Handler's own limit replaces it; 0: 10 s, negative: none
	MinBodyRate    int64         // bytes a second that a body must come at on average, likewise; 0: 4096, negative: any

	Logger *slog.Logger // panics of handlers and broken connections, at level Warn; nil: silent
}

func (o *ServeOptions) withDefaults(h http.Handler) ServeOptions {
	var out ServeOptions
	if o != nil {
		out = *o
	}
	if out.Drain == nil {
		out.Drain = func() {}
		if d, ok := h.(interface{ Drain() }); ok {
			out.Drain = d.Drain
		}
	}
	out.ShutdownTimeout = cmp.Or(out.ShutdownTimeout, 10*time.Second)
	out.HeaderTimeout = cmp.Or(out.HeaderTimeout, 10*time.Second)
	out.IdleTimeout = cmp.Or(out.IdleTimeout, 2*time.Minute)
	out.MaxHeaderBytes = cmp.Or(out.MaxHeaderBytes, 64<<10)
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

// lastStall is the longest pause of a client once the server shuts down: a
// request that has stopped on its way is not waited for.
const lastStall = time.Second

// Serve answers on l until ctx is done, and closes it. Then it turns readiness
// off, waits for DrainDelay, takes no more connections, cuts off clients that
// have stopped in the middle of a request, and lets the requests in flight end.
// Errors: Unavailable when l fails, or when requests were still in flight after
// ShutdownTimeout; their connections are closed. opts may be nil.
//
// Services that have an http.Server of their own use New alone: a Handler
// limits bodies and answers by itself. They set ReadHeaderTimeout and
// IdleTimeout, leave ReadTimeout and WriteTimeout alone, and call
// Handler.Drain before Shutdown.
func Serve(ctx context.Context, l net.Listener, h http.Handler, opts *ServeOptions) error {
	o := opts.withDefaults(h)
	f := newFlights(pace{o.StallTimeout, o.MinBodyRate}.withDefaults())
	s := &http.Server{
		Handler: f.watch(h), ConnState: f.connState,
		ReadHeaderTimeout: o.HeaderTimeout, IdleTimeout: o.IdleTimeout, MaxHeaderBytes: o.MaxHeaderBytes,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return broken(s, l, err)
	case <-ctx.Done():
	}
	o.Drain()
	if o.DrainDelay > 0 {
		select {
		case err := <-failed:
			return broken(s, l, err)
		case <-time.After(o.DrainDelay):
		}
	}
	return shutdown(ctx, s, f, o.ShutdownTimeout)
}

// broken tells that the listener failed, after closing what came by it.
func broken(s *http.Server, l net.Listener, err error) error {
	_ = s.Close()
	return fault.Errorf(fault.Unavailable, "servehttp: serve on %s: %w", l.Addr(), err)
}

func shutdown(ctx context.Context, s *http.Server, f *flights, timeout time.Duration) error {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	f.hurry()
	err := s.Shutdown(limit)
	if err == nil {
		return nil
	}
	n := f.running.Load()
	_ = s.Close()
	return fault.Errorf(fault.Unavailable, "servehttp: %d requests were in flight after %v and were cut off: raise ShutdownTimeout above the slowest prediction (%w)", n, timeout, err)
}

// flights watches the requests and connections of one Serve.
type flights struct {
	pace    pace
	bodies  guardedBodies
	running atomic.Int64 // requests in handlers

	mu    sync.Mutex
	fresh map[net.Conn]bool // that have brought no request yet
}

func newFlights(p pace) *flights {
	return &flights{pace: p, bodies: guardedBodies{set: map[*guardedBody]bool{}}, fresh: map[net.Conn]bool{}}
}

// watch returns the handler with all its bodies under deadlines.
func (f *flights) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.running.Add(1)
		defer f.running.Add(-1)
		r, body := guard(w, r, f.pace)
		if body != nil {
			f.bodies.add(body)
			defer f.bodies.remove(body)
		}
		next.ServeHTTP(w, r)
	})
}

// connState notes connections without a request: Shutdown waits five seconds for them.
func (f *flights) connState(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == http.StateNew {
		f.fresh[c] = true
	} else {
		delete(f.fresh, c)
	}
}

// hurry gives clients that have a request to send lastStall to go on with it.
func (f *flights) hurry() {
	f.bodies.hurry(lastStall)
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.fresh {
		_ = c.SetReadDeadline(time.Now().Add(lastStall)) // net/http lifts it when the header has come
	}
}
