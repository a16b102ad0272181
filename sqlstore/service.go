package sqlstore

import (
	"context"
	"database/sql"
)

// WithTx returns a DB that does everything inside tx, a transaction of the
// service's own, which commits it or rolls it back. What is a transaction or a
// statement elsewhere is a savepoint here, so that a call that fails leaves nothing
// behind and the service may go on. Where the database has given up the whole
// transaction, as for a full disk, a lost connection, or a ctx that ended in the
// middle of a statement on PostgreSQL, tx is rolled back. Nothing is tried again:
// on SQLite begin tx so that it may write (BEGIN IMMEDIATE), or write first.
func (db *DB) WithTx(tx *sql.Tx) *DB {
	inside := *db
	inside.tx, inside.owned, inside.stmts = tx, false, nil
	return &inside
}

// InTx reports whether the DB is one that WithTx made: what it writes may yet be
// rolled back, and it need not see what others commit.
func (db *DB) InTx() bool { return db.tx != nil }

const (
	setSavepoint     = "SAVEPOINT mlloop_call"
	releaseSavepoint = "RELEASE SAVEPOINT mlloop_call"
	undoSavepoint    = "ROLLBACK TO SAVEPOINT mlloop_call"
)

// savepoint runs fn inside the service's own transaction.
func (db *DB) savepoint(ctx context.Context, fn func(tx *Tx) error) error {
	if db.problem != nil {
		return db.problem
	}
	if _, err := db.tx.ExecContext(ctx, setSavepoint); err != nil {
		return Fault(err)
	}
	return db.leave(ctx, fn(&Tx{db, db.tx}))
}

// leave ends the savepoint as err, the call's, says. The caller's ctx may have
// ended: what was done is kept all the same, or undone.
func (db *DB) leave(ctx context.Context, err error) error {
	clean := context.WithoutCancel(ctx)
	if err == nil {
		if _, err = db.tx.ExecContext(clean, releaseSavepoint); err == nil {
			return nil
		}
	}
	for _, text := range []string{undoSavepoint, releaseSavepoint} {
		if _, undo := db.tx.ExecContext(clean, text); undo != nil {
			// The transaction is lost, and err says why. On SQLite what the service did
			// next would be committed statement by statement, if tx had not ended.
			_ = db.tx.Rollback()
			break
		}
	}
	return Fault(err)
}

// queryAlone is a query that is a call of its own. Closing the rows ends its
// savepoint, which SQLite does not need: there a query that fails changes nothing.
func (db *DB) queryAlone(ctx context.Context, text string, args []any) (*Rows, error) {
	if db.Dialect() == SQLite {
		return db.queryInside(ctx, text, args)
	}
	if _, err := db.tx.ExecContext(ctx, setSavepoint); err != nil {
		return nil, Fault(err)
	}
	rows, err := db.queryInside(ctx, text, args)
	if err != nil {
		return nil, db.leave(ctx, err)
	}
	rows.end = func(err error) error { return db.leave(ctx, err) }
	return rows, nil
}

func (db *DB) queryInside(ctx context.Context, text string, args []any) (*Rows, error) {
	unbroken, err := db.steady(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf(db.tx.QueryContext(unbroken, text, args...))
	if err == nil && unbroken != ctx {
		rows.ctx = ctx
	}
	return rows, endedBy(ctx, err)
}

// steady returns the ctx of one statement in the service's own transaction. On
// SQLite it does not end: a write that is interrupted there rolls the whole
// transaction back.
func (db *DB) steady(ctx context.Context) (context.Context, error) {
	if err := ctx.Err(); err != nil || db.Dialect() != SQLite {
		return ctx, err
	}
	return context.WithoutCancel(ctx), nil
}
