package retrain

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

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
	handler http.Handler
	history atomic.Pointer[frame.Table] // of Bootstrap, until there is a champion

	turn     chan struct{} // holds one token: who has it may use what follows
	launched bool
	state    State
	memory   loopMemory
	watcher  *watcher       // nil: to be restored from its checkpoint
	attempts map[string]int // of workflows that failed in this life, by id
}

// New returns a loop. It does no I/O. Errors: Invalid, naming every problem of
// the configuration; AlreadyExists when the stores have a loop of the model;
// Conflict when a loop on the stores has been opened already.
func New(c Config) (*Loop, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	l := &Loop{config: c, turn: make(chan struct{}, 1), attempts: make(map[string]int)}
	l.turn <- struct{}{}
	for _, w := range []struct {
		kind string
		run  Workflow
	}{{fitWorkflow, l.fit}, {transitionWorkflow, l.transit}} {
		if err := c.Stores.Engine.Register(l.workflowName(w.kind), w.run); err != nil {
			return nil, fmt.Errorf("retrain: new loop of %q: %w", c.Model, err)
		}
	}
	l.server = serve.New(l.registry(time.Time{}), &serve.Options{
		Log: c.Stores.Serve, Flavors: c.Flavors, Now: c.Now, Logger: c.Logger, ShadowSync: true,
	})
	l.handler = servehttp.New(l.server, nil)
	return l, nil
}

// Handler answers the Open Inference Protocol v2 of servehttp, all of it under
// /v2: predictions (/v2/models/{model}/infer), feedback
// (/v2/models/{model}/feedback), metadata and health (/v2/health/live, …/ready).
func (l *Loop) Handler() http.Handler { return l.handler }

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

// profileWindow is the window that reference profiles are calibrated for; 0
// leaves it to the profile.
func (l *Loop) profileWindow() int {
	if l.config.Drift == nil {
		return 0
	}
	return l.config.Drift.Window
}

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

// launch starts the engine and loads what is served, once a life.
func (l *Loop) launch(ctx context.Context) error {
	if l.launched {
		return nil
	}
	if err := l.server.Restore(ctx, l.config.Model); err != nil && !errors.Is(err, ErrNotFound) {
		return err
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
	return l.readState(ctx)
}

// Open brings the loop to where its last life ended: the champion is loaded and
// answers, unfinished workflows resume. Step, Bootstrap and Run call it
// themselves; call it to serve before the first of them. It returns the time of
// the last completed step, zero when there was none.
func (l *Loop) Open(ctx context.Context) (time.Time, error) {
	var steppedAt time.Time
	err := l.alone(ctx, "open", func(ctx context.Context) error {
		err := l.open(ctx)
		steppedAt = l.state.SteppedAt
		return err
	})
	return steppedAt, err
}

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

// Bootstrap fits the first champion on the history, whose labels are all
// known, and serves it. When there is a champion it does nothing. A loop that
// is not bootstrapped fits its first champion in the first Step, on what Data
// yields. When a Bootstrap was cut off, call it again in the next life: the
// history is not stored.
func (l *Loop) Bootstrap(ctx context.Context, now time.Time, history *frame.Table) error {
	l.history.Store(history)
	return l.alone(ctx, "bootstrap", func(ctx context.Context) error {
		if err := l.open(ctx); err != nil {
			return err
		}
		if _, err := l.ensureChampion(ctx, timestamp(now)); err != nil {
			return err
		}
		return l.putState(ctx)
	})
}

// drainTimeout is how long Run tries to store the last predictions.
const drainTimeout = 10 * time.Second

// Run steps the loop every Config.Every until ctx is done, then makes what was
// answered durable and returns nil. A retraining that is under way goes on at
// the next start. A failed step is logged and tried again; Run gives up only
// when the stores or the server are closed, and returns that error.
func (l *Loop) Run(ctx context.Context) error {
	ticker := time.NewTicker(l.config.Every)
	defer ticker.Stop()
	for {
		err := l.Step(ctx, l.config.Now())
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, ErrClosed):
			return err
		default:
			l.config.Logger.ErrorContext(ctx, "step failed; it is tried again", "model", l.config.Model, "error", err)
		}
		select {
		case <-ctx.Done():
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
			defer cancel()
			return l.server.Flush(drain)
		case <-ticker.C:
		}
	}
}

// Close makes what was answered durable and stops the server. The stores stay
// open: they are the caller's. Call it after Run has returned.
func (l *Loop) Close(ctx context.Context) error { return l.server.Close(ctx) }

// Events returns what happened after the event with the given Seq, in order.
func (l *Loop) Events(ctx context.Context, after int64) ([]Event, error) {
	return l.config.Stores.Retrain.Events(ctx, l.config.Model, after)
}

// Retrainings returns every retraining, by Number; the first ones, up to the
// first champion's, have no Champion.
func (l *Loop) Retrainings(ctx context.Context) ([]Retraining, error) {
	return l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
}

// report logs and stores an event. Events are stored once a Key, so that a
// step may be run again.
func (l *Loop) report(ctx context.Context, e Event) error {
	e.Model = l.config.Model
	l.config.Logger.InfoContext(ctx, e.Text, "model", e.Model, "event", e.Kind)
	return l.config.Stores.Retrain.AppendEvent(ctx, e)
}

// timestamp returns t as stores keep it.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
