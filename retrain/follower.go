package retrain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
)

// FollowOptions configures a Follower; the zero value of a field is its default.
type FollowOptions struct {
	// Flavors load the bundles of the model, as Config.Flavors does for the loop.
	Flavors map[string]serve.Loader
	// ShadowRate bounds the rows a second that a shadow is asked about here, as
	// Rollout.ShadowRate does in the loop. 0: 20. Negative: all.
	ShadowRate float64
	Now        func() time.Time // the clock that stamps predictions and labels. nil: time.Now
	Logger     *slog.Logger     // nil: slog.Default
}

// Follower serves what the loop of a model, in other processes on the same
// stores, routes: it answers, follows the route, logs what it answered and takes
// labels. It never steps, trains or leads, and needs neither data nor a trainer.
// It is safe for concurrent use.
type Follower struct {
	model   string
	stores  *Stores
	opts    FollowOptions
	server  *serve.Server
	handler *servehttp.Handler
}

// FollowerStatus is where a follower stands.
type FollowerStatus struct {
	Model     string
	Serving   bool        // there is a route, and it has been taken up
	Route     serve.Route // as it is stored; the zero one when there is none
	SteppedAt time.Time   // the last completed step of the process that leads; zero before the first
	Token     int64       // fencing token of the last process that led
	Log       serve.Stats // queue, drops, shadow
}

// Follow returns a follower of the model. It does no I/O: Run begins to follow.
// It uses Registry, Artifacts, Serve and Retrain of the stores; the others may be
// nil. nil options are the defaults. Errors: Invalid, naming every problem.
func Follow(model string, stores *Stores, opts *FollowOptions) (*Follower, error) {
	f := &Follower{model: model, stores: stores}
	if opts != nil {
		f.opts = *opts
	}
	if f.opts.Logger == nil {
		f.opts.Logger = slog.Default()
	}
	if f.opts.Now == nil {
		f.opts.Now = time.Now
	}
	if err := f.validate(); err != nil {
		return nil, fmt.Errorf("retrain: follow %q: %w", model, err)
	}
	models := registry.New(stores.Registry, stores.Artifacts, &registry.Options{Actor: "mlloop/retrain", Cache: stores.Cache, Logger: f.opts.Logger})
	rate := Rollout{ShadowRate: f.opts.ShadowRate}.withDefaults().ShadowRate
	f.server = newServer(models, stores.Serve, f.opts.Flavors, f.opts.Now, f.opts.Logger, rate)
	f.handler = servehttp.New(f.server, nil)
	return f, nil
}

func (f *Follower) validate() error {
	var p fault.Problems
	if ref, err := registry.ParseRef(registry.VersionRef(f.model, 1)); err != nil || ref.Model != f.model {
		p.Addf("%q is no name that the registry takes", f.model)
	}
	if f.stores == nil {
		p.Addf("the stores are nil: use retrainsql.Open or retraintest.NewStores")
		return p.Err()
	}
	needParts(&p, []storePart{
		{"Artifacts", f.stores.Artifacts == nil}, {"Registry", f.stores.Registry == nil},
		{"Serve", f.stores.Serve == nil}, {"Retrain", f.stores.Retrain == nil},
	})
	return p.Err()
}

// newServer returns the server of a process, leading or not.
func newServer(models serve.Models, log serve.Store, flavors map[string]serve.Loader, now func() time.Time, logger *slog.Logger, shadowRate float64) *serve.Server {
	return serve.New(models, &serve.Options{
		Log: log, Flavors: flavors, Now: now, Logger: logger, Shadow: serve.ShadowOptions{Rate: shadowRate},
	})
}

// Handler answers predictions, feedback and health, as Loop.Handler does. It is
// ready once there is a route and its versions are loaded.
func (f *Follower) Handler() *servehttp.Handler { return f.handler }

// Server returns the server behind Handler, for callers in the same process.
func (f *Follower) Server() *serve.Server { return f.server }

// followPoll is how often a follower looks at a store that cannot be waited on.
const followPoll = 5 * time.Second

// Run takes up the route and follows it until ctx is done: at once on PostgreSQL
// and in memory, within 5 s on SQLite. Then it makes what was answered durable and
// returns nil. While the stores are away it answers as it did; there need be no
// champion yet. It gives up only when the server is closed, and returns that error.
func (f *Follower) Run(ctx context.Context) error {
	err := f.server.Follow(ctx, f.model)
	if errors.Is(err, ErrUnsupported) {
		err = f.poll(ctx)
	}
	if err != nil {
		return fmt.Errorf("retrain: follow %s: %w", f.model, err)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return f.server.Flush(drain)
}

// poll follows a store that has no WaitRoute.
func (f *Follower) poll(ctx context.Context) error {
	ticker := time.NewTicker(followPoll)
	defer ticker.Stop()
	for {
		err := followRoute(ctx, f.server, f.model)
		switch {
		case errors.Is(err, ErrClosed):
			return err
		case err != nil && ctx.Err() == nil:
			f.opts.Logger.ErrorContext(ctx, "the traffic stays as it is", "model", f.model, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Status tells where the follower and the loop that it follows stand. Errors:
// the stores'; what the server knows is told all the same.
func (f *Follower) Status(ctx context.Context) (FollowerStatus, error) {
	s := FollowerStatus{Model: f.model, Log: f.server.Stats()}
	for _, name := range f.server.Models() {
		s.Serving = s.Serving || name == f.model
	}
	route, err := f.stores.Serve.Route(ctx, f.model)
	if err == nil {
		s.Route = route
	} else if !errors.Is(err, ErrNotFound) {
		return s, fmt.Errorf("retrain: status of the follower of %s: %w", f.model, err)
	}
	state, err := f.stores.Retrain.State(ctx, f.model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return s, fmt.Errorf("retrain: status of the follower of %s: %w", f.model, err)
	}
	s.SteppedAt, s.Token = state.SteppedAt, state.Token
	return s, nil
}

// Close makes what was answered durable and stops the server. The stores stay
// open: they are the caller's. Call it after Run has returned.
func (f *Follower) Close(ctx context.Context) error { return f.server.Close(ctx) }
