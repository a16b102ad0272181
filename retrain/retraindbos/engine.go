package retraindbos

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// Options tune an Engine. A nil *Options means all defaults.
type Options struct {
	// Lease is how long a process that runs workflows may be silent before another
	// one takes them up, which it does within a fifth of it more. It matters where a
	// process hangs, or where the death of one cannot be seen; a closed or killed one
	// of the same machine is succeeded at once. 0: 8 s.
	Lease time.Duration
	// Schema is PostgreSQL's schema of DBOS's tables, for the engine alone. "": with
	// default names mlloop_dbos; a schema of the database and its prefix come before
	// it (with the schema ml, ml_mlloop_dbos).
	Schema string
	// Connections bounds the engine's own pool on PostgreSQL. One of them listens
	// all the time. At least 2. 0: 4.
	Connections int
	// Configure may change the configuration of that pool, which is like that of the
	// database's own connections: where those get a password or a route from a hook,
	// set it here too. nil: as it is.
	Configure func(*pgxpool.Config)
	// Logger receives DBOS's warnings, panics with their stack, and what the
	// background work could not do. nil: silent.
	Logger *slog.Logger
}

// Engine runs workflows on DBOS Transact. It is safe for concurrent use.
type Engine struct {
	db      *sqlstore.DB
	options Options
	life    string // tells this engine from all others, whatever DBOS calls it
	host    string // tells this machine from others; "": unknown

	launching sync.Mutex // held by Launch, which may take long
	mu        sync.Mutex
	workflows map[string]retrain.Workflow
	running   map[string]*run  // by workflow id
	tries     map[string]*run  // by the id of the DBOS workflow
	marks     map[string]bool  // ids of DBOS workflows with which Cancel is about to end a workflow
	pending   map[string]sight // unfinished workflows that run elsewhere or wait for another try
	dbos      dbos.Context     // nil before Launch
	closed    bool
	abort     context.CancelCauseFunc // ends a Launch under way
	stop      context.CancelFunc      // of the background work
	work      sync.WaitGroup          // runs and the background work
	ended     chan struct{}           // closed by Close
	signalled chan struct{}           // closed, and replaced, with each signal that is sent here
	pokes     chan struct{}           // tend is to look at once
	wantsAll  atomic.Bool             // and at all workflows
}

var _ retrain.Engine = (*Engine)(nil)

// New returns an engine that keeps its tables (DBOS's own) in db. It does no
// I/O; Launch creates the tables. On PostgreSQL it works on a few connections of
// its own, see Options.
func New(db *sqlstore.DB, o *Options) *Engine {
	e := &Engine{
		db: db, life: id.New(), host: machine(), ended: make(chan struct{}),
		workflows: make(map[string]retrain.Workflow), running: make(map[string]*run),
		tries: make(map[string]*run), marks: make(map[string]bool), pending: make(map[string]sight),
		signalled: make(chan struct{}), pokes: make(chan struct{}, 1),
	}
	if o != nil {
		e.options = *o
	}
	if e.options.Lease <= 0 {
		e.options.Lease = 8 * time.Second
	}
	if e.options.Logger == nil {
		e.options.Logger = slog.New(slog.DiscardHandler)
	}
	return e
}

// Register implements retrain.Engine.
func (e *Engine) Register(name string, w retrain.Workflow) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.workflows[name]; ok {
		return fault.Errorf(fault.AlreadyExists, "retraindbos: register %q: the name is taken", name)
	}
	e.workflows[name] = w
	e.poke(true)
	return nil
}

// Unregister implements retrain.Engine.
func (e *Engine) Unregister(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.workflows[name]; !ok {
		return fault.Errorf(fault.NotFound, "retraindbos: unregister %q: the name is not registered", name)
	}
	delete(e.workflows, name)
	for _, r := range e.running {
		if r.name == name {
			r.cancel(fault.Errorf(fault.Closed, "workflow %q was unregistered", name))
		}
	}
	return nil
}

// started returns the launched DBOS context.
func (e *Engine) started() (dbos.Context, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, fault.Errorf(fault.Closed, "the engine is closed")
	case e.dbos == nil:
		return nil, fault.Errorf(fault.Conflict, "call Launch first")
	}
	return e.dbos, nil
}

// closeTimeout bounds Close when its context has no deadline.
const closeTimeout = 10 * time.Second

// Close implements retrain.Engine. Steps under way see their context end; Close
// waits for them until ctx ends, or 10 s without a deadline. The database stays
// open. Errors: Unavailable when a step did not end; what it returns later is
// lost, and its workflow goes on in another life once this process is dead.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	close(e.ended)
	root := e.dbos
	if e.abort != nil {
		e.abort(errClosed)
	}
	for _, r := range e.running {
		r.cancel(errClosed)
	}
	e.mu.Unlock()
	if root == nil {
		return nil
	}
	e.stop()
	return e.drain(ctx, root)
}

func (e *Engine) drain(ctx context.Context, root dbos.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	drained := make(chan struct{})
	go func() {
		e.work.Wait()
		close(drained)
	}()
	// DBOS waits as long for each of its parts. They end at once, but for the
	// workflows, which have been waited for.
	timeout := 5 * time.Second
	var hung error
	select {
	case <-drained:
	case <-ctx.Done():
		timeout = 100 * time.Millisecond
		hung = fault.Errorf(fault.Unavailable, "retraindbos: close: a step has not ended: %w", ctx.Err())
	}
	if err := dbos.Shutdown(root, timeout); err != nil && hung == nil {
		return fault.Errorf(fault.Unavailable, "retraindbos: close: %w", err)
	}
	return hung
}
