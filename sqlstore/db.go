package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// Querier runs single statements: a DB, or a Tx. In a text, {p} begins the name
// of a table, {n} that of an index or a trigger, and each ? stands for an
// argument, on PostgreSQL too. Errors come back with their kind, see Fault.
type Querier interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, query string, args ...any) (rows int64, err error)
	// Query runs a query. Close the rows before the next statement of a Tx.
	Query(ctx context.Context, query string, args ...any) (*Rows, error)
	// QueryRow runs a query whose first row is wanted; see Row.
	QueryRow(ctx context.Context, query string, args ...any) Row
	// Dialect returns what the database speaks.
	Dialect() Dialect
}

// DB is a database with the names of a deployment's tables in it. It is safe for
// concurrent use, but for one that WithTx made, which is as its transaction is.
type DB struct {
	pool    *sql.DB
	tx      *sql.Tx // the service's own; nil: transactions of the pool
	names   names
	problem error // of the dialect or the options: what every call fails with
	owned   bool  // Close closes the pool
	gate    chan struct{}
	stmts   *statements
}

var (
	_ Querier = (*DB)(nil)
	_ Querier = (*Tx)(nil)
)

// New returns a DB on the service's own pool, which Close leaves open. It does
// no I/O; a wrong option is told by the first call.
func New(pool *sql.DB, dialect Dialect, opts *Options) *DB {
	n, err := newNames(dialect, opts)
	return &DB{pool: pool, names: n, problem: err, gate: make(chan struct{}, 1), stmts: newStatements(pool, dialect)}
}

// Dialect implements Querier.
func (db *DB) Dialect() Dialect { return db.names.dialect }

// Pool returns the pool of connections, for what needs one of its own, such as
// the engine of the workflows. Errors of what runs on it have no kind: see Fault.
func (db *DB) Pool() *sql.DB { return db.pool }

// Schema returns PostgreSQL's schema of the tables; "": that of the connection.
func (db *DB) Schema() string { return db.names.schema }

// Prefix returns what the names of the tables begin with.
func (db *DB) Prefix() string { return db.names.prefix }

// Close closes the pool if Open opened it. What a DB of New prepared on the
// service's pool is released.
func (db *DB) Close() error {
	if db.stmts != nil {
		db.stmts.close()
	}
	if !db.owned {
		return nil
	}
	return Fault(db.pool.Close())
}

// runner is a *sql.DB or a *sql.Tx.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Exec implements Querier. One statement is a transaction of its own.
func (db *DB) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	text, err := db.text(query, args)
	if err != nil {
		return 0, err
	}
	var rows int64
	if db.tx != nil {
		err := db.savepoint(ctx, func(tx *Tx) (err error) {
			rows, err = tx.Exec(ctx, query, args...)
			return err
		})
		return rows, err
	}
	err = db.again(ctx, func() error {
		leave, err := db.enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
		if stmt := db.stmts.get(ctx, text); stmt != nil {
			rows, err = affected(stmt.ExecContext(ctx, args...))
		} else {
			rows, err = exec(ctx, db.pool, text, args)
		}
		return err
	})
	return rows, err
}

// Query implements Querier.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	text, err := db.text(query, args)
	if err != nil {
		return nil, err
	}
	if db.tx != nil {
		return db.queryAlone(ctx, text, args)
	}
	var rows *Rows
	err = db.again(ctx, func() error {
		if stmt := db.stmts.get(ctx, text); stmt != nil {
			rows, err = rowsOf(stmt.QueryContext(ctx, args...))
		} else {
			rows, err = rowsOf(db.pool.QueryContext(ctx, text, args...))
		}
		return err
	})
	return rows, err
}

// QueryRow implements Querier.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := db.Query(ctx, query, args...)
	return Row{rows, err}
}

// text returns the statement as the driver gets it. Errors: those of the DB's
// options; Invalid for an argument that not every database can keep.
func (db *DB) text(query string, args []any) (string, error) {
	if db.problem != nil {
		return "", db.problem
	}
	for i, a := range args {
		if problem := textProblem(a); problem != "" {
			return "", fault.Errorf(fault.Invalid, "text %s, which PostgreSQL cannot keep (argument %d)", problem, i+1)
		}
	}
	return db.names.statement(query), nil
}

// textProblem says why not every database can keep the argument, or "".
func textProblem(arg any) string {
	switch v := arg.(type) {
	case string:
		return keepable(v)
	case nil, int64, int, float64, []byte, bool, time.Time, sql.NullInt64:
		return ""
	case driver.Valuer:
		value, err := v.Value()
		if text, ok := value.(string); ok && err == nil {
			return keepable(text)
		}
		return "" // the driver reports the error
	}
	v := reflect.Indirect(reflect.ValueOf(arg))
	if v.Kind() == reflect.String {
		return keepable(v.String())
	}
	return ""
}

func keepable(text string) string {
	switch {
	case strings.IndexByte(text, 0) >= 0:
		return "with the character U+0000"
	case !utf8.ValidString(text):
		return "that is no UTF-8"
	}
	return ""
}

func exec(ctx context.Context, r runner, text string, args []any) (int64, error) {
	return affected(r.ExecContext(ctx, text, args...))
}

func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, Fault(err)
	}
	n, err := result.RowsAffected()
	return n, Fault(err)
}

// endedBy is how a statement of a transaction fails whose ctx has ended.
func endedBy(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return errors.Join(ctx.Err(), err)
	}
	return err
}
