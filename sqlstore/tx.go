package sqlstore

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"
)

// Tx is one transaction, or a savepoint in one of the service's own. It must not
// be used by several goroutines, nor after its function returned.
type Tx struct {
	db *DB
	tx *sql.Tx
}

// Dialect implements Querier.
func (t *Tx) Dialect() Dialect { return t.db.Dialect() }

// Exec implements Querier.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	text, err := t.db.text(query, args)
	if err != nil {
		return 0, err
	}
	if t.db.tx != nil {
		ctx, err := t.db.steady(ctx)
		if err != nil {
			return 0, err
		}
		return exec(ctx, t.tx, text, args)
	}
	if stmt := t.prepared(ctx, text); stmt != nil {
		n, err := affected(stmt.ExecContext(ctx, args...))
		return n, endedBy(ctx, err)
	}
	n, err := exec(ctx, t.tx, text, args)
	return n, endedBy(ctx, err)
}

// Query implements Querier.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	text, err := t.db.text(query, args)
	if err != nil {
		return nil, err
	}
	if t.db.tx != nil {
		return t.db.queryInside(ctx, text, args)
	}
	if stmt := t.prepared(ctx, text); stmt != nil {
		rows, err := rowsOf(stmt.QueryContext(ctx, args...))
		return rows, endedBy(ctx, err)
	}
	rows, err := rowsOf(t.tx.QueryContext(ctx, text, args...))
	return rows, endedBy(ctx, err)
}

// QueryRow implements Querier.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := t.Query(ctx, query, args...)
	return Row{rows, err}
}

// ForUpdate ends a SELECT that locks the rows it reads, behind a WHERE: empty on
// SQLite, whose writers come one after the other anyway. It is Brief too.
func (t *Tx) ForUpdate() string {
	if t.Dialect() == PostgreSQL {
		return t.Brief() + " FOR UPDATE"
	}
	return ""
}

// Brief is a condition that holds, behind the WHERE of a statement that locks what
// other processes wait for. With it PostgreSQL ends the transaction when nothing
// comes from its process for 5 s: one that is suspended or cut off from the
// network would hold its locks as long as it is, or for hours. The service's own
// transaction is left alone. SQLite ends those of dead processes only.
func (t *Tx) Brief() string {
	if t.Dialect() != PostgreSQL || t.db.tx != nil {
		return ""
	}
	return " AND set_config('idle_in_transaction_session_timeout', '5000', true) IS NOT NULL"
}

// prepared returns the statement as it was prepared before, nil when it was not:
// preparing takes a connection of the pool, which may have none left.
func (t *Tx) prepared(ctx context.Context, text string) *sql.Stmt {
	if stmt := t.db.stmts.known(text); stmt != nil {
		return t.tx.StmtContext(ctx, stmt)
	}
	return nil
}

// Tx runs fn in a transaction that may write, commits when fn returns nil and
// rolls back otherwise, also when ctx has ended. fn may run several times, so it
// begins by setting what it fills. An error of fn comes back as it is. On
// PostgreSQL a ctx that ends, or a connection that breaks, while it commits leaves
// open whether it did: such an error is no proof that nothing is stored. Errors:
// Unavailable besides.
func (db *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	if db.tx != nil {
		return db.savepoint(ctx, fn)
	}
	return db.again(ctx, func() error {
		leave, err := db.enter(ctx)
		if err != nil {
			return err
		}
		defer leave()
		return db.once(ctx, &sql.TxOptions{}, fn)
	})
}

// ReadTx runs fn in a transaction that only reads: all its queries see the
// database at one moment. It waits for no writer. Inside the service's own
// transaction fn sees what that sees. fn may run several times. Errors: fn's,
// Unavailable.
func (db *DB) ReadTx(ctx context.Context, fn func(tx *Tx) error) error {
	if db.tx != nil {
		return db.savepoint(ctx, fn)
	}
	opts := &sql.TxOptions{ReadOnly: true}
	if db.Dialect() == PostgreSQL {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return db.again(ctx, func() error { return db.once(ctx, opts, fn) })
}

// once runs fn in one transaction, once.
func (db *DB) once(ctx context.Context, opts *sql.TxOptions, fn func(tx *Tx) error) error {
	db.stmts.prepareWanted(ctx) // before the transaction has a connection
	tx, err := db.pool.BeginTx(ctx, opts)
	if err != nil {
		return Fault(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if db.Dialect() == SQLite && !opts.ReadOnly {
		// database/sql cannot ask for it, short of an option of the driver's.
		if _, err := tx.ExecContext(ctx, "COMMIT; BEGIN IMMEDIATE"); err != nil {
			return Fault(err)
		}
	}
	if err := fn(&Tx{db, tx}); err != nil {
		return Fault(err)
	}
	return db.commit(ctx, tx, opts)
}

// commit commits. On SQLite as a statement: one that fails for a reader in the
// way leaves its transaction open, and database/sql would give the connection
// back like that; the Rollback that follows ends it. Once it has begun, ctx does
// not end it: a driver may report that for what is committed.
func (db *DB) commit(ctx context.Context, tx *sql.Tx, opts *sql.TxOptions) error {
	if db.Dialect() == SQLite && !opts.ReadOnly {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := tx.ExecContext(context.WithoutCancel(ctx), "COMMIT")
		return Fault(endedBy(ctx, err))
	}
	return Fault(tx.Commit())
}

// enter waits until no other writer of this DB is inside: SQLite has one writer,
// and those that queue here are served in turn. Readers do not enter.
func (db *DB) enter(ctx context.Context) (leave func(), err error) {
	if db.problem != nil {
		return nil, db.problem
	}
	if db.Dialect() != SQLite {
		return func() {}, nil
	}
	select {
	case db.gate <- struct{}{}:
		return func() { <-db.gate }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

const (
	// retryFor is how long what may succeed a moment later is tried again.
	retryFor = 15 * time.Second
	leastPause,
	mostPause = time.Millisecond, 100 * time.Millisecond
)

// again calls once, and again while it fails with what another try may not:
// a locked SQLite file, a deadlock, a failed serialization, no connection left.
func (db *DB) again(ctx context.Context, once func() error) error {
	if db.problem != nil {
		return db.problem
	}
	pause, end := leastPause, time.Now().Add(retryFor)
	for {
		err := once()
		if err == nil || !transient(err) || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		// Jitter keeps two that met from meeting again.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return endedBy(ctx, err)
		}
		pause = min(2*pause, mostPause)
	}
}
