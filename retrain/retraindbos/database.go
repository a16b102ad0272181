package retraindbos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // teaches DBOS SQLite's error codes
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
)

const (
	// launchTimeout bounds Launch when its context has no deadline.
	launchTimeout = 30 * time.Second
	// minConnections is what DBOS needs of a pool: it holds one to listen on.
	minConnections = 2
	// defaultConnections leaves two more for steps that end at one time.
	defaultConnections = 4
)

// open returns a launched DBOS on the engine's database. It lives as long as
// base, which ends before it is there when ctx does.
func (e *Engine) open(base context.Context) (dbos.Context, error) {
	config, release, err := e.config(base)
	if err != nil {
		return nil, err
	}
	var root dbos.Context
	err = e.migrating(base, func() (err error) {
		root, err = dbos.NewContext(base, config)
		return err
	})
	if err != nil {
		release()
		return nil, told(err)
	}
	// These serve all names: DBOS knows a workflow by its function, takes none after
	// Launch, and closures of one expression are one function to it.
	dbos.RegisterWorkflow(root, e.first, dbos.WithWorkflowName(firstName))
	dbos.RegisterWorkflow(root, e.again, dbos.WithWorkflowName(againName))
	dbos.RegisterWorkflow(root, e.deliver, dbos.WithWorkflowName(signalName))
	if err := dbos.Launch(root); err != nil { // it has released what it had
		return nil, told(err)
	}
	return root, nil
}

// state is how pgx writes PostgreSQL's code for an error.
var state = regexp.MustCompile(`\(SQLSTATE ([0-9A-Z]{5})\)`)

// told returns an error of DBOS's start with its kind. DBOS keeps only its text.
func told(err error) error {
	kind := fault.Kind(sqlstore.Fault(err))
	if code := state.FindStringSubmatch(err.Error()); kind == nil && code != nil {
		kind = fault.Kind(sqlstore.Fault(&pgconn.PgError{Code: code[1]}))
	}
	return fault.Errorf(cmp.Or(kind, fault.Unavailable), "%w", err)
}

// config says which database DBOS runs on, and how to release it where DBOS does not.
func (e *Engine) config(ctx context.Context) (config dbos.Config, release func(), err error) {
	config = dbos.Config{
		AppName: e.appName(),
		// DBOS itself resumes what its executor left under this name: nothing, for
		// the name is new. Taking up is this package's own work, see resume and born.
		ExecutorID:             e.life,
		ApplicationVersion:     e.appName(),
		Logger:                 warnings(e.options.Logger),
		SystemDBStartupTimeout: launchTimeout,
	}
	switch dialect := e.db.Dialect(); dialect {
	case sqlstore.SQLite:
		config.SQLiteSystemDB = lend(e.db.Pool())
		return config, func() {}, nil
	case sqlstore.PostgreSQL:
		pool, err := e.pool(ctx)
		if err != nil {
			return config, nil, err
		}
		config.SystemDBPool, config.DatabaseSchema = pool, e.schema()
		return config, pool.Close, nil
	default:
		return config, nil, fault.Errorf(fault.Unsupported, "dialect %q: want %q or %q", dialect, sqlstore.SQLite, sqlstore.PostgreSQL)
	}
}

// appName keeps the workflows of several prefixes in one database apart.
func (e *Engine) appName() string {
	if p := e.db.Prefix(); p != sqlstore.DefaultPrefix {
		return "mlloop-" + strings.TrimSuffix(p, "_")
	}
	return "mlloop"
}

// schema is the one of DBOS's tables on PostgreSQL, whose names are fixed.
func (e *Engine) schema() string {
	switch {
	case e.options.Schema != "":
		return e.options.Schema
	case e.db.Schema() != "":
		return e.db.Schema() + "_" + e.db.Prefix() + "dbos"
	}
	return e.db.Prefix() + "dbos"
}

// pool returns a pool of pgx connections like those of the database's own pool:
// DBOS knows no other.
func (e *Engine) pool(ctx context.Context) (*pgxpool.Pool, error) {
	conn, err := connConfig(ctx, e.db)
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(conn.ConnString())
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "the connection's configuration: %w", err)
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 10 * time.Second
	}
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = e.appName()
	}
	// A URL for PgBouncer may ask for these. DBOS hands bytes to columns of text,
	// which without the columns' types would be written as bytea is.
	switch conn.DefaultQueryExecMode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
		conn.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	config.ConnConfig = conn
	config.MaxConns = int32(max(minConnections, e.options.Connections))
	if e.options.Connections == 0 {
		config.MaxConns = defaultConnections
	}
	config.MinConns, config.MaxConnIdleTime = 0, 5*time.Minute
	if e.options.Configure != nil {
		e.options.Configure(config)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "the engine's own pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("the engine's own connections: %w", sqlstore.Fault(err))
	}
	return pool, nil
}

// connConfig returns the configuration of a connection of the pool.
func connConfig(ctx context.Context, db *sqlstore.DB) (*pgx.ConnConfig, error) {
	conn, err := db.Pool().Conn(ctx)
	if err != nil {
		return nil, err
	}
	var config *pgx.ConnConfig
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fault.Errorf(fault.Unsupported, "the pool's driver gives a %T: open it with pgx (sql.Open(\"pgx\", url), or stdlib.OpenDBFromPool)", driver)
		}
		config = c.Conn().Config()  // a copy
		config.OnNotification = nil // pgx's own, which would hand notifications to that connection
		return nil
	})
	if closed := conn.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	return config, nil
}

// launch opens DBOS, unless it is open, and begins the background work.
func (e *Engine) launch(ctx context.Context) error {
	e.launching.Lock()
	defer e.launching.Unlock()
	// The workflows outlive the caller's context: only Close ends them.
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	if done, err := e.beginLaunch(cancel); done || err != nil {
		cancel(nil)
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, launchTimeout)
		defer stop()
	}
	keep := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	root, err := e.open(base)
	if ended := !keep(); ended || base.Err() != nil {
		err = cutShort(context.Cause(base), err)
	}
	if err != nil {
		if root != nil {
			_ = dbos.Shutdown(root, time.Second) // the first error is the one to report
		}
		cancel(err)
		return err
	}
	return e.launched(root)
}

// cutShort says why a launch was ended, and what it was at.
func cutShort(cause, err error) error {
	if !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return fault.Errorf(fault.Unavailable,
		"the database did not answer in time, or has no connection left: the engine needs %d of its own: %w", minConnections, errors.Join(cause, err))
}

// beginLaunch reports whether there is nothing to do; else cancel is what Close calls.
func (e *Engine) beginLaunch(cancel context.CancelCauseFunc) (done bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false, fault.Errorf(fault.Closed, "the engine is closed")
	}
	e.abort = cancel
	return e.dbos != nil, nil
}

// launched begins the background work, unless Close came first.
func (e *Engine) launched(root dbos.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errors.Join(errClosed, dbos.Shutdown(root, time.Second))
	}
	e.dbos, e.abort = root, nil
	background, stop := dbos.WithCancel(root)
	e.stop = stop
	e.work.Go(func() { e.tend(background) })
	e.work.Go(func() { e.keepAlive(background) })
	return nil
}

// Launch implements retrain.Engine. It creates DBOS's tables where they are
// missing, and needs the right to (on PostgreSQL to create their schema too) only
// then. It gives up when ctx ends, or after 30 s without a deadline; call it again
// then. Errors: Closed, Denied, Unavailable, Unsupported for another driver of
// PostgreSQL than pgx.
func (e *Engine) Launch(ctx context.Context) error {
	if err := e.launch(ctx); err != nil {
		return fmt.Errorf("retraindbos: launch: %w", sqlstore.Fault(err))
	}
	return nil
}
