package retraindbos

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // teaches DBOS SQLite's error codes

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/retrain"
)

// Dialect names the SQL of the database.
type Dialect = sqldb.Dialect

// SQLite is the dialect of New.
const SQLite = sqldb.SQLite

// Options tune an Engine. A nil *Options means all defaults.
type Options struct {
	// Lease is how long a process that runs workflows may be silent before another
	// one takes them up. It matters where a process hangs, or where the death of one
	// cannot be seen; a closed or killed one of the same machine is succeeded at
	// once. 0: 15 s.
	Lease time.Duration
	// Logger receives DBOS's warnings, panics with their stack, and what the
	// background work could not do. nil: silent.
	Logger *slog.Logger
}

// Engine runs workflows on DBOS Transact. It is safe for concurrent use.
type Engine struct {
	db      *sql.DB
	dialect Dialect
	options Options
	life    string // tells this engine from all others, whatever DBOS calls it

	mu        sync.Mutex
	workflows map[string]retrain.Workflow
	running   map[string]*run  // by workflow id
	tries     map[string]*run  // by the id of the DBOS workflow
	marks     map[string]bool  // ids of DBOS workflows with which Cancel is about to end a workflow
	pending   map[string]sight // unfinished workflows that run elsewhere or wait for another try
	dbos      dbos.Context     // nil before Launch
	closed    bool
	stop      context.CancelFunc // of the background work
	work      sync.WaitGroup     // runs and the background work
	ended     chan struct{}      // closed by Close
	signalled chan struct{}      // closed, and replaced, with each signal that is sent here
	pokes     chan struct{}      // tend is to look at once
	wantsAll  atomic.Bool        // and at all workflows
}

var _ retrain.Engine = (*Engine)(nil)

// New returns an engine that keeps its tables (DBOS's own) in db. It does no
// I/O; Launch creates the tables.
func New(db *sql.DB, dialect Dialect, o *Options) *Engine {
	e := &Engine{
		db: db, dialect: dialect, life: id.New(), ended: make(chan struct{}),
		workflows: make(map[string]retrain.Workflow), running: make(map[string]*run),
		tries: make(map[string]*run), marks: make(map[string]bool), pending: make(map[string]sight),
		signalled: make(chan struct{}), pokes: make(chan struct{}, 1),
	}
	if o != nil {
		e.options = *o
	}
	if e.options.Lease <= 0 {
		e.options.Lease = 15 * time.Second
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

// appVersion is the same in all releases: which code may go on with a workflow
// is decided by the names of its steps, not by DBOS.
const appVersion = "mlloop"

// Launch implements retrain.Engine. It creates DBOS's tables where they are
// missing. Errors: Closed, Unsupported for another dialect, Unavailable.
func (e *Engine) Launch(ctx context.Context) error {
	if err := e.launch(ctx); err != nil {
		return fmt.Errorf("retraindbos: launch: %w", sqldb.Fault(err))
	}
	return nil
}

func (e *Engine) launch(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return fault.Errorf(fault.Closed, "the engine is closed")
	case e.dbos != nil:
		return nil
	case e.dialect != SQLite:
		return fault.Errorf(fault.Unsupported, "dialect %q: want %q", e.dialect, SQLite)
	}
	// The workflows outlive the caller's context: only Close ends them.
	root, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName:        "mlloop",
		SQLiteSystemDB: e.db,
		// DBOS itself resumes what its executor left under this name: nothing, for
		// the name is new. Taking up is this package's own work, see resume.
		ExecutorID:         e.life,
		ApplicationVersion: appVersion,
		Logger:             e.options.Logger,
	})
	if err != nil {
		return err
	}
	// These serve all names: DBOS knows a workflow by its function, takes none after
	// Launch, and closures of one expression are one function to it.
	dbos.RegisterWorkflow(root, e.first, dbos.WithWorkflowName(firstName))
	dbos.RegisterWorkflow(root, e.again, dbos.WithWorkflowName(againName))
	dbos.RegisterWorkflow(root, e.deliver, dbos.WithWorkflowName(signalName))
	if err := dbos.Launch(root); err != nil {
		return err
	}
	e.dbos = root
	background, stop := dbos.WithCancel(root)
	e.stop = stop
	e.work.Go(func() { e.tend(background) })
	e.work.Go(func() { e.keepAlive(background) })
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
