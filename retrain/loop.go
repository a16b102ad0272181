package retrain

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/frame"
)

// Loop keeps one model right: it serves it, watches it, and replaces it by a
// better one when a trigger says so. It is safe for concurrent use; steps run
// one at a time, and a call that needs the loop's state waits for a step that
// is under way, no longer than its context permits.
//
// Loops of several models may share their Stores: make all of them before the
// first step. Of one model, one process at a time should step a Loop.
type Loop struct {
	config  Config
	server  *serve.Server
	handler *servehttp.Handler
	courier *alert.Courier
	history atomic.Pointer[frame.Table] // of FitFirst, until there is a champion
	status  board                       // what Status and Metrics tell; needs no turn
	poke    chan struct{}               // one token: Run is to step at once

	turn        chan struct{} // holds one token: who has it may use what follows
	launched    bool
	state       State
	memory      memory
	watcher     *watcher  // nil: to be restored from its checkpoint
	fitBegan    time.Time // when this life began or took up the fit under way, by the process's own clock
	unroutable  string    // why this process cannot have the challenger asked, found in this step; "": it can
	poked       string    // the workflow after whose end Run steps at once
	retainAfter time.Time // when the log's size is looked at again
}

// New returns a loop. It does no I/O. Errors: Invalid, naming every problem of
// the configuration; AlreadyExists when the stores have a loop of the model;
// Conflict when a loop on the stores has been opened already.
func New(c Config) (*Loop, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	l := &Loop{config: c, turn: make(chan struct{}, 1), poke: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	if err := c.Stores.Engine.Register(l.fitWorkflow(), l.fit); err != nil {
		return nil, fmt.Errorf("retrain: new loop of %q: %w", c.Model, err)
	}
	l.server = serve.New(l.registry(time.Time{}), &serve.Options{
		Log: c.Stores.Serve, Flavors: c.Flavors, Now: c.Now, Logger: c.Logger,
		Shadow: serve.ShadowOptions{Rate: c.Rollout.ShadowRate},
	})
	l.handler = servehttp.New(l.server, nil)
	var err error
	if l.courier, err = newCourier(l); err != nil {
		return nil, fmt.Errorf("retrain: new loop of %q: %w", c.Model, err)
	}
	return l, nil
}

// Handler answers the Open Inference Protocol v2 of servehttp, all of it under
// /v2: predictions (/v2/models/{model}/infer), feedback
// (/v2/models/{model}/feedback), metadata and health (/v2/health/live, …/ready).
// Readiness depends on serving alone: a failing step takes no replica out.
// Mounted on a mux, its Drain is given to servehttp.Serve, so that readiness is
// turned off before the end.
func (l *Loop) Handler() *servehttp.Handler { return l.handler }

// Server returns the server behind Handler, for callers in the same process.
func (l *Loop) Server() *serve.Server { return l.server }

// registry returns the registry's front, stamping changes with now; the zero
// time stands for the present.
func (l *Loop) registry(now time.Time) *registry.Client {
	o := &registry.Options{Actor: "mlloop/retrain", Logger: l.config.Logger}
	if !now.IsZero() {
		o.Now = func() time.Time { return now }
	}
	return registry.New(l.config.Stores.Registry, l.config.Stores.Artifacts, o)
}

// runs returns the tracking front, stamping points with now, so that a train
// step that is run again logs the same points again.
func (l *Loop) runs(now time.Time) *tracking.Client {
	return tracking.New(keepOpen{l.config.Stores.Tracking}, &tracking.Options{
		Artifacts: l.config.Stores.Artifacts, Now: func() time.Time { return now }, Logger: l.config.Logger,
	})
}

// keepOpen keeps a tracking client, which closes its store, from closing the
// caller's.
type keepOpen struct{ tracking.Store }

func (keepOpen) Close() error { return nil }

// lock waits for the loop's turn. Errors: ctx's.
func (l *Loop) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-l.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Loop) unlock() { l.turn <- struct{}{} }

// alone runs fn while nothing else of the loop does.
func (l *Loop) alone(ctx context.Context, op string, fn func(ctx context.Context) error) error {
	err := l.lock(ctx)
	if err == nil {
		defer l.unlock()
		err = fn(ctx)
	}
	if err != nil {
		return fmt.Errorf("retrain: %s %s: %w", op, l.config.Model, err)
	}
	return nil
}

// launch starts the engine and loads what is served, once a life.
func (l *Loop) launch(ctx context.Context) error {
	if l.launched {
		return nil
	}
	if err := l.server.Restore(ctx, l.config.Model); err != nil && !errors.Is(err, ErrNotFound) {
		// A challenger that cannot be loaded, say: the step sees what the alias names.
		l.config.Logger.ErrorContext(ctx, "the route of the last life cannot be taken up", "model", l.config.Model, "error", err)
	}
	if err := l.config.Stores.Engine.Launch(ctx); err != nil {
		return err
	}
	l.launched = true
	return nil
}

// open launches the loop and reads its state, which another process may have
// changed meanwhile.
func (l *Loop) open(ctx context.Context) error {
	if err := l.launch(ctx); err != nil {
		return err
	}
	if err := l.readState(ctx); err != nil {
		return err
	}
	l.status.see(l)
	return nil
}

// Open brings the loop to where its last life ended: the champion is loaded and
// answers, unfinished fits resume. Step, FitFirst and Run call it themselves;
// call it to serve before the first of them. It returns the time of the last
// completed step, zero when there was none.
func (l *Loop) Open(ctx context.Context) (time.Time, error) {
	var steppedAt time.Time
	err := l.alone(ctx, "open", func(ctx context.Context) error {
		err := l.open(ctx)
		steppedAt = l.state.SteppedAt
		return err
	})
	return steppedAt, err
}

// Close makes what was answered durable and stops the server. The stores stay
// open: they are the caller's. Call it after Run has returned.
func (l *Loop) Close(ctx context.Context) error { return l.server.Close(ctx) }

// Events returns what happened after the event with the given Seq, in order.
func (l *Loop) Events(ctx context.Context, after int64) ([]Event, error) {
	return l.config.Stores.Retrain.Events(ctx, EventQuery{Model: l.config.Model, After: after})
}

// Retrainings returns every retraining, by Number; the first ones, up to the
// first champion's, have no Champion.
func (l *Loop) Retrainings(ctx context.Context) ([]Retraining, error) {
	return l.config.Stores.Retrain.Retrainings(ctx, RetrainingQuery{Model: l.config.Model})
}

// timestamp returns t as stores keep it.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
