package registrysql

import (
	"context"
	"database/sql"

	"github.com/mlloop/mlloop/internal/sqlstore"
)

// txn runs the store's statements in a transaction.
type txn struct {
	tx *sql.Tx
	db *sqlstore.DB
}

func (t txn) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.tx.ExecContext(ctx, t.db.SQL(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t txn) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, t.db.SQL(query), args...)
}

func list[T any](ctx context.Context, t txn, scan func(sqlstore.Scanner) (T, error), query string, args ...any) ([]T, error) {
	return sqlstore.Select(ctx, t.tx, scan, t.db.SQL(query), args...)
}
