package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/sqldb"
)

// Scanner is a *sql.Row or *sql.Rows.
type Scanner interface{ Scan(dest ...any) error }

// Each calls fn for every row, and closes rows.
func Each(rows *sql.Rows, fn func(row Scanner) error) error {
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Querier is a *DB, or a *sql.Tx.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Select returns every row of a query as scan reads it, nil when there is none.
// Errors come back through sqldb.Fault.
func Select[T any](ctx context.Context, db Querier, scan func(row Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	var all []T
	err = Each(rows, func(row Scanner) error {
		one, err := scan(row)
		all = append(all, one)
		return err
	})
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	return all, nil
}

// Millis scans a column of UTC milliseconds into t; NULL is the zero time.
func Millis(t *time.Time) sql.Scanner { return (*millis)(t) }

type millis time.Time

// Scan implements sql.Scanner.
func (m *millis) Scan(column any) error {
	switch v := column.(type) {
	case nil:
		*m = millis{}
	case int64:
		*m = millis(time.UnixMilli(v).UTC())
	default:
		return fmt.Errorf("want a time in milliseconds, found %T", column)
	}
	return nil
}

// NullMillis is what a column of UTC milliseconds holds for t: NULL for the
// zero time.
func NullMillis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}
