package sqlstore

import (
	"database/sql"
	"fmt"
	"time"
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

// Collect returns every row as scan reads it, nil when there is none, and
// closes rows.
func Collect[T any](rows *sql.Rows, scan func(row Scanner) (T, error)) ([]T, error) {
	var all []T
	err := Each(rows, func(row Scanner) error {
		one, err := scan(row)
		all = append(all, one)
		return err
	})
	if err != nil {
		return nil, err
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
