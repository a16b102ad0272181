package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
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
// one at a time.
type Loop struct {
	config  Config
	server  *serve.Server
	handler http.Handler
	history atomic.Pointer[frame.Table] // of Bootstrap

	mu       sync.Mutex // held by Step and Bootstrap
	launched bool
	state    State
	memory   loopMemory
	watcher  *watcher
}

// loopMemory is the loop's own part of State.
type loopMemory struct {
	ResumedAt  int64  `json:"resumed_at"` // Resume forgave the failures up to this Number; -1: none yet
	Suppressed string `json:"suppressed"` // the reason reported last, so that it is reported once
	Manual     string `json:"manual"`     // Retrain's reason, until a retraining takes it up
}

// New returns a loop. It does no I/O. Errors: Invalid, naming every problem of
// the configuration.
func New(c Config) (*Loop, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	l := &Loop{config: c}
	for name, w := range map[string]Workflow{fitWorkflow: l.fit, rolloutWorkflow: l.rollOut} {
		if err := c.Stores.Engine.Register(name, w); err != nil {
			return nil, fmt.Errorf("retrain: %w", err)
		}
	}
	l.server = serve.New(l.registry(time.Time{}), &serve.Options{
		Log: c.Stores.Serve, Now: c.Now, Logger: c.Logger, ShadowSync: true,
	})
	l.handler = servehttp.New(l.server, nil)
	return l, nil
}

// Handler answers predictions, feedback and health checks: the Open Inference
// Protocol v2 of servehttp.
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

// launch starts the engine and loads what is served, once a life.
func (l *Loop) launch(ctx context.Context) error {
	if l.launched {
		return nil
	}
	stored, err := l.config.Stores.Retrain.State(ctx, l.config.Model)
	switch {
	case errors.Is(err, ErrNotFound):
		l.state, l.memory = State{Model: l.config.Model}, loopMemory{ResumedAt: -1}
	case err != nil:
		return err
	default:
		l.state = stored
		if err := json.Unmarshal(stored.Data, &l.memory); err != nil {
			return fmt.Errorf("state of %s: %w", l.config.Model, err)
		}
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

// Open brings the loop to where its last life ended: the champion is loaded and
// answers, unfinished workflows resume. Step, Bootstrap and Run call it
// themselves; call it to serve before the first of them. It returns the time of
// the last completed step, zero when there was none.
func (l *Loop) Open(ctx context.Context) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.launch(ctx); err != nil {
		return time.Time{}, fmt.Errorf("retrain: open: %w", err)
	}
	return l.state.SteppedAt, nil
}

// Bootstrap fits the first champion on the history, whose labels are all
// known, and serves it. When there is a champion it does nothing. A loop that
// is not bootstrapped fits its first champion in the first Step, on what Data
// yields.
func (l *Loop) Bootstrap(ctx context.Context, now time.Time, history *frame.Table) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history.Store(history)
	if err := l.launch(ctx); err != nil {
		return fmt.Errorf("retrain: bootstrap: %w", err)
	}
	if _, err := l.firstChampion(ctx, now); err != nil {
		return fmt.Errorf("retrain: bootstrap: %w", err)
	}
	return nil
}

// Run steps the loop every Config.Every until ctx is done, then makes what was
// answered durable and returns nil. A failed step is logged and tried again.
func (l *Loop) Run(ctx context.Context) error {
	ticker := time.NewTicker(l.config.Every)
	defer ticker.Stop()
	for {
		if err := l.Step(ctx, l.config.Now()); err != nil && ctx.Err() == nil {
			l.config.Logger.ErrorContext(ctx, "step failed; it is tried again", "model", l.config.Model, "error", err)
		}
		select {
		case <-ctx.Done():
			return l.server.Flush(context.WithoutCancel(ctx))
		case <-ticker.C:
		}
	}
}

// Close makes what was answered durable and stops the server. The stores stay
// open: they are the caller's.
func (l *Loop) Close(ctx context.Context) error { return l.server.Close(ctx) }

// Retrain asks for a retraining at the next step that the policy permits.
func (l *Loop) Retrain(ctx context.Context, reason string) error {
	return l.remember(ctx, "retrain", func() { l.memory.Manual = reason })
}

// Resume forgives the failures so far, after which a loop that MaxFailures had
// stopped starts retrainings again.
func (l *Loop) Resume(ctx context.Context) error {
	history, err := l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
	if err != nil {
		return fmt.Errorf("retrain: resume: %w", err)
	}
	return l.remember(ctx, "resume", func() {
		if n := len(history); n > 0 {
			l.memory.ResumedAt = history[n-1].Number
		}
	})
}

func (l *Loop) remember(ctx context.Context, op string, change func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.launch(ctx); err != nil {
		return fmt.Errorf("retrain: %s: %w", op, err)
	}
	change()
	if err := l.putState(ctx); err != nil {
		return fmt.Errorf("retrain: %s: %w", op, err)
	}
	return nil
}

func (l *Loop) putState(ctx context.Context) error {
	data, err := json.Marshal(l.memory)
	if err != nil {
		return err
	}
	l.state.Data = data
	return l.config.Stores.Retrain.PutState(ctx, l.state)
}

// Events returns what happened after the event with the given Seq, in order.
func (l *Loop) Events(ctx context.Context, after int64) ([]Event, error) {
	return l.config.Stores.Retrain.Events(ctx, l.config.Model, after)
}

// Retrainings returns every retraining, by Number; 0 is the first fit.
func (l *Loop) Retrainings(ctx context.Context) ([]Retraining, error) {
	return l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
}

func (l *Loop) report(ctx context.Context, e Event) error {
	e.Model = l.config.Model
	l.config.Logger.InfoContext(ctx, e.Text, "model", e.Model, "event", e.Kind)
	return l.config.Stores.Retrain.AppendEvent(ctx, e)
}
