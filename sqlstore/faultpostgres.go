package sqlstore

import (
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// SQLSTATE codes (PostgreSQL manual, appendix A).
const (
	pgSerialization      = "40001"
	pgDeadlock           = "40P01"
	pgLockNotAvailable   = "55P03"
	pgIdleTooLong        = "25P03"
	pgTooManyConnections = "53300"
	pgUnique             = "23505"
	pgForeignKey         = "23503"
	pgDiskFull           = "53100"
	pgReadOnly           = "25006"
	pgFailedTransaction  = "25P02"
	pgCanceled           = "57014"
	pgNoPrivilege        = "42501"
	pgNoTable            = "42P01"
	pgNoSchema           = "3F000"
	pgNoDatabase         = "3D000"
)

// postgresFault tells an error of PostgreSQL by its code.
func postgresFault(code string, err error) error {
	switch code {
	case pgUnique:
		return fault.Errorf(fault.AlreadyExists, "already exists: %w", err)
	case pgForeignKey:
		return fault.Errorf(fault.NotFound, "refers to something that does not exist: %w", err)
	case pgIdleTooLong:
		return fault.Errorf(fault.Unavailable, "the process stood still in the middle of a transaction, which was undone: try again: %w", err)
	case pgSerialization, pgDeadlock, pgLockNotAvailable:
		return fault.Errorf(fault.Unavailable, "other transactions were in the way: try again: %w", err)
	case pgTooManyConnections:
		return fault.Errorf(fault.Unavailable, "the database has no connection left: raise its limit, or lower pool_max_conns in the URL: %w", err)
	case pgDiskFull:
		return fault.Errorf(fault.Unavailable, "the disk is full: free some space and try again: %w", err)
	case pgReadOnly:
		return fault.Errorf(fault.Unavailable, "the database only reads, as a standby does: connect to the primary: %w", err)
	case pgFailedTransaction:
		return fault.Errorf(fault.Invalid, "a statement of this transaction failed before, so that it takes no more: roll it back and begin another one: %w", err)
	case pgCanceled:
		return fault.Errorf(fault.Unavailable, "the database ended the statement, as its statement_timeout asks for: %w", err)
	case pgNoPrivilege:
		return fault.Errorf(fault.Denied, "the role lacks the right: grant it, or connect as another one: %w", err)
	case pgNoTable:
		return fault.Errorf(fault.Unavailable, "a table is missing: call Migrate on the store first: %w", err)
	case pgNoSchema:
		return fault.Errorf(fault.Unavailable, "the schema is missing: call Migrate on the store first, or create it: %w", err)
	case pgNoDatabase:
		return fault.Errorf(fault.Unavailable, "the database does not exist: create it first: %w", err)
	}
	for class, f := range postgresClasses() {
		if strings.HasPrefix(code, class) {
			return fault.Errorf(f.kind, "%s: %w", f.text, err)
		}
	}
	return err
}

type classFault struct {
	kind error
	text string
}

// postgresClasses tells the other codes by their class.
func postgresClasses() map[string]classFault {
	return map[string]classFault{
		"08": {fault.Unavailable, "the connection to the database was lost"},
		"22": {fault.Invalid, "a column refuses the value"},
		"23": {fault.Invalid, "a column refuses the value"},
		"28": {fault.Denied, "the database refuses the login: check user and password"},
		"53": {fault.Unavailable, "the database is out of resources"},
		"54": {fault.Invalid, "the value is larger than the database can keep"},
		"57": {fault.Unavailable, "the database is stopping, starting, or was told to end this connection"},
		"58": {fault.Unavailable, "the database's machine failed it"},
		"P0": {fault.Invalid, "the database refuses the change"}, // raised by a trigger
		"XX": {fault.Corrupt, "the database reports an error of its own"},
	}
}
