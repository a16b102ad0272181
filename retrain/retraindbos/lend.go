package retraindbos

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/mlloop/mlloop/internal/fault"
)

// lend returns a pool whose connections are borrowed from another one, each for
// as long as it is used. DBOS closes the pool that it is given: of this one, that
// gives back what is borrowed.
func lend(pool *sql.DB) *sql.DB {
	lent := sql.OpenDB(lender{pool})
	lent.SetMaxIdleConns(-1) // none is kept from the other pool's users
	return lent
}

// lender is a driver.Connector. It is safe for concurrent use.
type lender struct{ pool *sql.DB }

func (l lender) Driver() driver.Driver { return l.pool.Driver() }

func (l lender) Connect(ctx context.Context) (driver.Conn, error) {
	held, err := l.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &lentConn{held: held}
	err = held.Raw(func(conn any) error {
		c.Conn = conn.(driver.Conn) // what database/sql holds is one
		return nil
	})
	return c, err
}

// lentConn is a connection that stays reserved until Close gives it back. It
// offers database/sql all that the driver's own does.
type lentConn struct {
	driver.Conn
	held *sql.Conn
}

func (c *lentConn) Close() error { return c.held.Close() }

func (c *lentConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if e, ok := c.Conn.(driver.ExecerContext); ok {
		return e.ExecContext(ctx, query, args)
	}
	return nil, driver.ErrSkip
}

func (c *lentConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if q, ok := c.Conn.(driver.QueryerContext); ok {
		return q.QueryContext(ctx, query, args)
	}
	return nil, driver.ErrSkip
}

func (c *lentConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if p, ok := c.Conn.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	return c.Prepare(query)
}

// BeginTx takes the write lock at once, whatever the pool's default is: DBOS reads
// before it writes, which fails without a wait when another one wrote meanwhile, and
// its waits after a failure double, up to half a minute.
func (c *lentConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.ReadOnly {
		if b, ok := c.Conn.(driver.ConnBeginTx); ok {
			return b.BeginTx(ctx, opts)
		}
		return nil, fault.Errorf(fault.Unsupported, "the driver of SQLite begins no transactions that only read")
	}
	if _, err := c.run(ctx, "BEGIN IMMEDIATE"); err != nil {
		_ = lentTx{c}.Rollback() // it may have begun as its context ended; the first error is the one to report
		return nil, err
	}
	return lentTx{c}, nil
}

// run runs a statement without arguments.
func (c *lentConn) run(ctx context.Context, statement string) (driver.Result, error) {
	if e, ok := c.Conn.(driver.ExecerContext); ok {
		return e.ExecContext(ctx, statement, nil)
	}
	return nil, fault.Errorf(fault.Unsupported, "the driver of SQLite runs no statement that is not prepared")
}

// lentTx is a transaction that wrote from its beginning.
type lentTx struct{ conn *lentConn }

// Commit leaves no transaction open where it fails: the connection goes back.
func (t lentTx) Commit() error {
	_, err := t.conn.run(context.Background(), "COMMIT")
	if err != nil {
		_ = t.Rollback() // the first error is the one to report
	}
	return err
}

func (t lentTx) Rollback() error {
	_, err := t.conn.run(context.Background(), "ROLLBACK")
	return err
}

func (c *lentConn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *lentConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
