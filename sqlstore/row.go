package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Scanner is a Row or Rows.
type Scanner interface{ Scan(dest ...any) error }

// Rows is the result of a query, as *sql.Rows. It must not be used by several
// goroutines.
type Rows struct {
	rows *sql.Rows
	ctx  context.Context       // of the query; nil: rows end with it by themselves
	end  func(err error) error // what follows the query, once; nil: nothing
}

func rowsOf(rows *sql.Rows, err error) (*Rows, error) {
	if err != nil {
		return nil, Fault(err)
	}
	return &Rows{rows: rows}, nil
}

// Next moves to the next row, and reports false after the last one or an error.
func (r *Rows) Next() bool { return r.ended() == nil && r.rows.Next() }

func (r *Rows) ended() error {
	if r.ctx == nil {
		return nil
	}
	return r.ctx.Err()
}

// Scan reads the row's columns. Errors: Corrupt for a column that holds what it
// must not, as SQLite's columns can.
func (r *Rows) Scan(dest ...any) error {
	err := r.rows.Scan(dest...)
	if err != nil && strings.HasPrefix(err.Error(), "sql: Scan error on column") { // database/sql keeps no value for it
		return fault.Errorf(fault.Corrupt, "a row is damaged, restore a backup: %w", err)
	}
	return Fault(err)
}

// Err returns what ended the rows early.
func (r *Rows) Err() error {
	if err := r.ended(); err != nil {
		return err
	}
	return Fault(r.rows.Err())
}

// Close ends the query. It may be called twice.
func (r *Rows) Close() error {
	err := r.rows.Close()
	if end := r.end; end != nil {
		r.end = nil
		err = errors.Join(err, end(r.rows.Err()))
	}
	return Fault(err)
}

// Row is the first row of a query, to be scanned once.
type Row struct {
	rows *Rows
	err  error
}

// Scan reads the row's columns. Errors: NotFound when there is no row, the
// query's.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer func() { _ = r.rows.Close() }() // Err tells
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return fault.Errorf(fault.NotFound, "not found")
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}

// Select returns every row of a query as scan reads it, nil when there is none.
func Select[T any](ctx context.Context, q Querier, scan func(row Scanner) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	for one, err := range Each(ctx, q, scan, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// Each yields the rows of a query one by one, as scan reads them, and an error
// last when there is one. The loop holds a connection until it ends: its body must
// run nothing on the same Tx, nor on the DB, whose pool may have one connection.
func Each[T any](ctx context.Context, q Querier, scan func(row Scanner) (T, error), query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := q.Query(ctx, query, args...)
		if err != nil {
			yield(none, err)
			return
		}
		defer func() { _ = rows.Close() }() // Err tells
		for rows.Next() {
			one, err := scan(rows)
			if !yield(one, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, err)
		}
	}
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
