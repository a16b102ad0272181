package retrain

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
// Loops of several models may share their Stores. Of one model any number of
// processes may have a Loop on one database: all of them serve, follow the route
// and log what they answered, and one of them leads, which is the one whose steps
// do something (see Lead and Status).
type Loop struct {
	config  Config
	server  *serve.Server
	handler *servehttp.Handler
	courier *alert.Courier
	history atomic.Pointer[frame.Table] // of FitFirst, until there is a champion
	status  board                       // what Status and Metrics tell; needs no turn
	poke    chan struct{}               // one token: Run is to step at once

	leads   *leadership
	digest  string // of configuration
	written []byte // the configuration, as it is stored

	turn        chan struct{} // holds one token: who has it may use what follows
	restored    bool          // the stored route has been taken up
	token       int64         // of the lease, when it was last looked at: what writes carry
	claimed     int64         // the token under which this process took everything over; 0: it has not led yet
	alias       int64         // registry.Alias.Seq of the champion's, as align found it
	state       State
	memory      memory
	terms       terms     // of the retraining under way, or of the present configuration
	termsFrom   string    // the digest that they are of
	watcher     *watcher  // nil: to be restored from its checkpoint
	fitSeen     string    // the try of a fit that this life has begun or taken up
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
	l := &Loop{
		config: c, turn: make(chan struct{}, 1), poke: make(chan struct{}, 1),
		leads: newLeadership(c.Stores.Retrain, c.Model, c.Lease),
	}
	l.turn <- struct{}{}
	if err := l.describeConfig(); err != nil {
		return nil, fmt.Errorf("retrain: new loop of %q: %w", c.Model, err)
	}
	if err := c.Stores.Engine.Register(l.fitWorkflow(), l.fit); err != nil {
		return nil, fmt.Errorf("retrain: new loop of %q: %w", c.Model, err)
	}
	l.server = newServer(l.registry(time.Time{}), c.Stores.Serve, c.Flavors, c.Now, c.Logger, c.Rollout.ShadowRate)
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
	o := &registry.Options{Actor: "mlloop/retrain", Cache: l.config.Stores.Cache, Logger: l.config.Logger}
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

// Open brings the loop to where its last life ended: the champion is loaded and
// answers, and where this process leads, unfinished fits resume. Step, FitFirst
// and Run call it themselves; call it to serve before the first of them. It
// returns the time of the last completed step, zero when there was none.
func (l *Loop) Open(ctx context.Context) (time.Time, error) {
	var steppedAt time.Time
	err := l.alone(ctx, "open", func(ctx context.Context) error {
		if _, err := l.open(ctx); err != nil {
			// It serves even so; the step tells of the error.
			l.config.Logger.ErrorContext(ctx, "this process does not lead", "model", l.config.Model, "error", err)
			if err := l.readState(ctx); err != nil {
				return err
			}
		}
		steppedAt = l.state.SteppedAt
		return nil
	})
	return steppedAt, err
}

// Close makes what was answered durable, stops the server, and lets another
// process lead. The stores stay open: they are the caller's. Call it after Run has
// returned.
func (l *Loop) Close(ctx context.Context) error {
	return errors.Join(l.leads.release(ctx), l.server.Close(ctx))
}

// Events returns what happened after the event with the given Seq, in order, at
// most DefaultLimit events: ask again after the last one.
func (l *Loop) Events(ctx context.Context, after int64) ([]Event, error) {
	return l.config.Stores.Retrain.Events(ctx, EventQuery{Model: l.config.Model, After: after})
}

// Retrainings returns the latest DefaultLimit retrainings, by Number; the first
// ones, up to the first champion's, have no Champion. AllRetrainings has them all.
func (l *Loop) Retrainings(ctx context.Context) ([]Retraining, error) {
	return l.config.Stores.Retrain.Retrainings(ctx, RetrainingQuery{Model: l.config.Model, Last: DefaultLimit})
}

// AllRetrainings yields every retraining, by Number, a page at a time. An error
// is the last that it yields.
func (l *Loop) AllRetrainings(ctx context.Context) iter.Seq2[Retraining, error] {
	return func(yield func(Retraining, error) bool) {
		q := RetrainingQuery{Model: l.config.Model}
		for {
			page, err := l.config.Stores.Retrain.Retrainings(ctx, q)
			if err != nil {
				yield(Retraining{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				q.From = r.Number + 1
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

// timestamp returns t as stores keep it.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
