package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mlloop/mlloop/internal/fault"
)

// Fault returns err with its fault kind: NotFound for sql.ErrNoRows and for a
// reference to a row that does not exist, AlreadyExists for a row that does,
// Invalid for a value that a column refuses, Unavailable for a database that is
// locked, full, out of reach or lacks a table, Denied for missing rights or a
// wrong password, Corrupt for a damaged file, Closed. An error without a known
// code, and nil, come back as they are.
func Fault(err error) error {
	if err == nil || fault.Kind(err) != nil {
		return err
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fault.Errorf(fault.NotFound, "not found")
	case errors.Is(err, sql.ErrTxDone):
		return fault.Errorf(fault.Closed, "the transaction has ended: %w", err)
	case errors.Is(err, sql.ErrConnDone), strings.Contains(err.Error(), "sql: database is closed"):
		return fault.Errorf(fault.Closed, "the database is closed: %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return postgresFault(pg.Code, err)
	}
	if code, ok := sqliteCode(err); ok {
		return sqliteFault(code, err)
	}
	if connectionLost(err) {
		return fault.Errorf(fault.Unavailable, "the database cannot be reached: %w", err)
	}
	return err
}

// connectionLost reports whether the way to the database is what failed.
func connectionLost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed") // pgx keeps no value for it
}

// transient reports whether the same transaction may succeed a moment later.
func transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case pgSerialization, pgDeadlock, pgLockNotAvailable, pgTooManyConnections, pgIdleTooLong:
			return true
		}
		return false
	}
	code, ok := sqliteCode(err)
	return ok && (code&0xff == sqliteBusy || code&0xff == sqliteLocked)
}
