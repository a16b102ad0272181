// Package sqldb opens the databases that mlloop's SQL stores live in, and maps
// their drivers' errors to fault kinds.
//
// Only role packages (…sql, retrainsql) import it: it links modernc.org/sqlite.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"

	_ "modernc.org/sqlite" // registers the "sqlite" driver
)

// Dialect names the SQL a store speaks.
type Dialect string

// SQLite is SQLite 3.35 or later (RETURNING, UPSERT), through any driver.
const SQLite Dialect = "sqlite"

// busyTimeout is how long, in milliseconds, a writer waits for another one
// before SQLite reports SQLITE_BUSY.
const busyTimeout = 10_000

// Open opens the database at rawURL and checks that it answers.
//
// The form is sqlite:PATH, with the options ?synchronous=full (the default:
// a commit survives power loss) or ?synchronous=normal (a commit survives the
// death of the process; the last ones may be lost with the machine). PATH is
// taken as it stands, relative or absolute, spaces and % included; only a ? it
// cannot hold. Its folder must exist. Errors: Unsupported for another scheme,
// Invalid for a bad option, Unavailable when the file cannot be opened, Corrupt
// when it is no SQLite file.
func Open(ctx context.Context, rawURL string) (*sql.DB, Dialect, error) {
	dsn, err := sqliteDSN(rawURL)
	if err != nil {
		return nil, "", err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, "", fault.Errorf(fault.Invalid, "open %s: %w", rawURL, err)
	}
	// Under WAL readers do not block each other, and one writes at a time.
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, "", fmt.Errorf("open %s: %w", rawURL, Fault(err))
	}
	return db, SQLite, nil
}

// Path returns the file that a sqlite: URL names. Errors: Unsupported for
// another scheme, and for a URL that names no file.
func Path(rawURL string) (string, error) {
	rest, ok := strings.CutPrefix(rawURL, "sqlite:")
	if !ok {
		scheme, _, _ := strings.Cut(rawURL, ":")
		return "", fault.Errorf(fault.Unsupported, "database scheme %q: use sqlite:PATH", scheme)
	}
	path, _, _ := strings.Cut(rest, "?")
	if path == "" || strings.Contains(path, ":memory:") {
		return "", fault.Errorf(fault.Unsupported, "%q names no file: use sqlite:PATH, or the in-memory store of the package", rawURL)
	}
	return filepath.Clean(path), nil
}

func sqliteDSN(rawURL string) (string, error) {
	path, err := Path(rawURL)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return "", fault.Errorf(fault.Unavailable, "open %s: the folder %s does not exist: create it first", rawURL, filepath.Dir(path))
	}
	_, query, _ := strings.Cut(rawURL, "?")
	options, err := url.ParseQuery(query)
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "open %s: options: %w", rawURL, err)
	}
	synchronous := "full"
	for name, values := range options {
		value := strings.ToLower(values[len(values)-1])
		if name != "synchronous" || (value != "full" && value != "normal") {
			return "", fault.Errorf(fault.Invalid, "open %s: option %s=%s: want synchronous=full or synchronous=normal", rawURL, name, value)
		}
		synchronous = value
	}
	pragmas := url.Values{
		"_txlock": {"immediate"}, // a transaction that will write must not find that out half-way
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout),
			"journal_mode(wal)",
			"synchronous(" + synchronous + ")",
			"foreign_keys(on)",
		},
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: pragmas.Encode()}).String(), nil
}

// Result codes of SQLite (https://www.sqlite.org/rescode.html): primary ones
// in the low byte, extended ones of a broken constraint.
const (
	sqliteError      = 1
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteReadOnly   = 8
	sqliteIOErr      = 10
	sqliteCorrupt    = 11
	sqliteFull       = 13
	sqliteCantOpen   = 14
	sqliteConstraint = 19
	sqliteNotADB     = 26

	constraintForeignKey = 787
	constraintPrimaryKey = 1555
	constraintUnique     = 2067
	constraintRowID      = 2579
)

// Fault returns err with its fault kind: NotFound for sql.ErrNoRows and for a
// reference to a row that does not exist, AlreadyExists for a row that does,
// Invalid for a value that a column refuses, Unavailable for a full disk, a
// locked or unreachable file or a missing table, Corrupt for a damaged file,
// Closed. An error without a known code, and nil, come back as they are.
func Fault(err error) error {
	if err == nil || fault.Kind(err) != nil {
		return err
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fault.Errorf(fault.NotFound, "not found")
	case errors.Is(err, sql.ErrConnDone), strings.Contains(err.Error(), "sql: database is closed"):
		return fault.Errorf(fault.Closed, "the database is closed: %w", err)
	}
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return err
	}
	switch coded.Code() & 0xff {
	case sqliteConstraint:
		return constraintFault(coded.Code(), err)
	case sqliteFull:
		return fault.Errorf(fault.Unavailable, "the disk is full: free some space and try again: %w", err)
	case sqliteBusy, sqliteLocked:
		return fault.Errorf(fault.Unavailable, "the database is locked by another writer: try again: %w", err)
	case sqliteReadOnly, sqliteIOErr, sqliteCantOpen:
		return fault.Errorf(fault.Unavailable, "the database file cannot be read or written: check its folder, rights and disk: %w", err)
	case sqliteCorrupt, sqliteNotADB:
		return fault.Errorf(fault.Corrupt, "the database file is damaged, or is no SQLite file: %w", err)
	case sqliteError:
		if strings.Contains(err.Error(), "no such table") {
			return fault.Errorf(fault.Unavailable, "a table is missing: call Migrate on the store first: %w", err)
		}
	}
	return err
}

func constraintFault(code int, err error) error {
	switch code {
	case constraintUnique, constraintPrimaryKey, constraintRowID:
		return fault.Errorf(fault.AlreadyExists, "already exists: %w", err)
	case constraintForeignKey:
		return fault.Errorf(fault.NotFound, "refers to something that does not exist: %w", err)
	}
	return fault.Errorf(fault.Invalid, "a column refuses the value: %w", err)
}

// Tx runs fn in one transaction that may write, commits when fn returns nil
// and rolls back otherwise. Errors come back through Fault.
func Tx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	return transact(ctx, db, nil, fn)
}

// ReadTx runs fn in one read-only transaction, so that all its queries see the
// database at one moment. It waits for no writer. Errors come back through Fault.
func ReadTx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	return transact(ctx, db, &sql.TxOptions{ReadOnly: true}, fn)
}

func transact(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return Fault(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := fn(tx); err != nil {
		return Fault(err)
	}
	return Fault(tx.Commit())
}
