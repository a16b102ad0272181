package retraindbos

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // teaches DBOS SQLite's error codes

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/retrain"
)

// Dialect names the SQL of the database.
type Dialect = sqldb.Dialect

// SQLite is the dialect of New.
const SQLite = sqldb.SQLite

// Options tune an Engine. A nil *Options means all defaults.
type Options struct {
	// Executor names this process among those that share the database. A process
	// that starts again under the same name resumes what it left unfinished.
	// "": "mlloop".
	Executor string
	// Version names the workflows' code. Unfinished workflows are resumed only by
	// an executor of the same version: change it when you change a workflow's
	// steps. "": "1".
	Version string
	// Logger receives DBOS's warnings. nil: silent.
	Logger *slog.Logger
}

// Engine runs workflows on DBOS Transact. It is safe for concurrent use.
type Engine struct {
	db      *sql.DB
	dialect Dialect
	options Options

	mu        sync.Mutex
	workflows map[string]retrain.Workflow
	dbos      dbos.Context // nil before Launch
	closed    bool
}

var _ retrain.Engine = (*Engine)(nil)

// New returns an engine that keeps its tables (DBOS's own) in db. It does no
// I/O; Launch creates the tables.
func New(db *sql.DB, dialect Dialect, o *Options) *Engine {
	e := &Engine{db: db, dialect: dialect, workflows: make(map[string]retrain.Workflow)}
	if o != nil {
		e.options = *o
	}
	if e.options.Executor == "" {
		e.options.Executor = "mlloop"
	}
	if e.options.Version == "" {
		e.options.Version = "1"
	}
	if e.options.Logger == nil {
		e.options.Logger = slog.New(slog.DiscardHandler)
	}
	return e
}

// Register names a workflow. Errors: AlreadyExists for a name registered
// before, Conflict after Launch.
func (e *Engine) Register(name string, w retrain.Workflow) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dbos != nil {
		return fault.Errorf(fault.Conflict, "retraindbos: register %q: register workflows before Launch", name)
	}
	if _, ok := e.workflows[name]; ok {
		return fault.Errorf(fault.AlreadyExists, "retraindbos: register %q: the name is taken", name)
	}
	e.workflows[name] = w
	return nil
}

// Launch creates DBOS's tables where they are missing and resumes unfinished
// workflows in the background. A second call is a no-op. Errors: Unsupported
// for another dialect.
func (e *Engine) Launch(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return fault.Errorf(fault.Closed, "retraindbos: launch: the engine is closed")
	case e.dbos != nil:
		return nil
	case e.dialect != SQLite:
		return fault.Errorf(fault.Unsupported, "retraindbos: launch: dialect %q: want %q", e.dialect, SQLite)
	}
	// The workflows outlive the caller's context: only Close ends them.
	root, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName:            "mlloop",
		SQLiteSystemDB:     e.db,
		ExecutorID:         e.options.Executor,
		ApplicationVersion: e.options.Version,
		Logger:             e.options.Logger,
	})
	if err != nil {
		return fmt.Errorf("retraindbos: launch: %w", sqldb.Fault(err))
	}
	// One registered function serves all names: DBOS identifies a workflow by its
	// function, and closures of one expression share an identity.
	dbos.RegisterWorkflow(root, e.dispatch, dbos.WithWorkflowName("mlloop"))
	if err := dbos.Launch(root); err != nil {
		return fmt.Errorf("retraindbos: launch: %w", sqldb.Fault(err))
	}
	e.dbos = root
	return nil
}

// call is the recorded input of a workflow.
type call struct {
	Name  string `json:"name"`
	Input []byte `json:"input"`
}

// outcome is the recorded result of a workflow or a step. DBOS keeps only the
// text of an error; the kind is kept here, so that it survives a crash.
type outcome struct {
	Output []byte `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
	Kind   string `json:"kind,omitempty"`
}

func outcomeOf(output []byte, err error) outcome {
	if err == nil {
		return outcome{Output: output}
	}
	o := outcome{Error: cmp.Or(err.Error(), "an error without text")}
	if kind := fault.Kind(err); kind != nil {
		o.Kind = kind.Error()
	}
	return o
}

func (o outcome) result() ([]byte, error) {
	if o.Error == "" {
		return o.Output, nil
	}
	if kind := fault.Named(o.Kind); kind != nil {
		return nil, fault.Errorf(kind, "%s", o.Error)
	}
	return nil, errors.New(o.Error)
}

// dispatch is the DBOS workflow.
func (e *Engine) dispatch(ctx dbos.Context, c call) (outcome, error) {
	e.mu.Lock()
	w, ok := e.workflows[c.Name]
	e.mu.Unlock()
	if !ok {
		return outcomeOf(nil, fault.Errorf(fault.NotFound, "workflow %q is not registered", c.Name)), nil
	}
	output, err := w(ctx, steps{ctx}, c.Input)
	if interrupted(ctx, err) {
		return outcome{}, err // recorded nowhere: the workflow resumes
	}
	return outcomeOf(output, err), nil
}

// interrupted reports whether err comes from Close rather than from the work.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil
}

type steps struct{ ctx dbos.Context }

// Do implements retrain.Steps.
func (s steps) Do(_ context.Context, name string, fn func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	o, err := dbos.RunAsStep(s.ctx, func(ctx context.Context) (outcome, error) {
		output, err := fn(ctx)
		if interrupted(ctx, err) {
			return outcome{}, err
		}
		return outcomeOf(output, err), nil
	}, dbos.WithStepName(name))
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", name, err)
	}
	return o.result()
}

// pollInterval is how often Run looks for the end of a workflow that an
// earlier life began; one that this call begins is awaited without polling.
const pollInterval = 20 * time.Millisecond

// Run implements retrain.Engine. When ctx ends first, Run returns its error and
// the workflow goes on.
func (e *Engine) Run(ctx context.Context, name, id string, input []byte) ([]byte, error) {
	e.mu.Lock()
	root, closed := e.dbos, e.closed
	_, known := e.workflows[name]
	e.mu.Unlock()
	switch {
	case closed:
		return nil, fault.Errorf(fault.Closed, "retraindbos: run %s: the engine is closed", id)
	case root == nil:
		return nil, fault.Errorf(fault.Conflict, "retraindbos: run %s: call Launch first", id)
	case !known:
		return nil, fault.Errorf(fault.NotFound, "retraindbos: run %s: workflow %q is not registered", id, name)
	}
	handle, err := dbos.RunWorkflow(root, e.dispatch, call{Name: name, Input: input}, dbos.WithWorkflowID(id))
	if err != nil {
		return nil, fmt.Errorf("retraindbos: run %s: %w", id, sqldb.Fault(err))
	}
	type reply struct {
		outcome outcome
		err     error
	}
	done := make(chan reply, 1)
	go func() {
		o, err := handle.GetResult(dbos.WithHandlePollingInterval(pollInterval))
		done <- reply{o, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		switch {
		case r.err == nil:
			return r.outcome.result()
		case e.isClosed(): // the work was cut off, it did not fail
			return nil, fault.Errorf(fault.Closed, "retraindbos: run %s: the engine is closed: %w", id, r.err)
		}
		return nil, fmt.Errorf("retraindbos: run %s: %w", id, sqldb.Fault(r.err))
	}
}

func (e *Engine) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// shutdownTimeout bounds Close when its context has no deadline.
const shutdownTimeout = 10 * time.Second

// Close stops the engine: a running step sees its context cancelled, and its
// workflow resumes at the next Launch. The database stays open.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	root := e.dbos
	already := e.closed
	e.closed = true
	e.mu.Unlock()
	if already || root == nil {
		return nil
	}
	timeout := shutdownTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	if err := dbos.Shutdown(root, timeout); err != nil {
		return fmt.Errorf("retraindbos: close: %w", err)
	}
	return nil
}
