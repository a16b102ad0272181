// Package sqlstore is what the SQL stores of all domains have in common: a pool,
// tables under a prefix, and the migrations that make them.
package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
)

// Options are a store's settings. The zero value of a field is its default.
type Options struct {
	Prefix string // begins every table's name, ends in _; "": mlloop_
}

// Schema says which tables a store has.
type Schema struct {
	Domain  string   // "tracking": the tables are {p}tracking_…, the package is trackingsql
	Files   fs.FS    // the migrations, in the folder migration
	Options *Options // nil: the defaults
}

// prefix fills {p} in statements.
func (s Schema) prefix() string {
	if s.Options == nil || s.Options.Prefix == "" {
		return migrate.DefaultPrefix
	}
	return s.Options.Prefix
}

// pkg begins the texts of errors.
func (s Schema) pkg() string { return s.Domain + "sql" }

func (s Schema) set() (migrate.Set, error) {
	files, err := fs.Sub(s.Files, "migration")
	return migrate.Set{Name: s.Domain, Files: files, Prefix: s.prefix()}, err
}

// Migrations returns the steps that make the tables. Errors: Invalid for the
// prefix.
func (s Schema) Migrations() ([]migrate.Migration, error) {
	set, err := s.set()
	if err != nil {
		return nil, fmt.Errorf("%s: migrations: %w", s.pkg(), err)
	}
	steps, err := set.Migrations()
	if err != nil {
		return nil, fmt.Errorf("%s: migrations: %w", s.pkg(), err)
	}
	return steps, nil
}

// DB is the pool that a store's tables are in. It is safe for concurrent use.
type DB struct {
	*sql.DB

	dialect sqldb.Dialect
	schema  Schema
	owned   bool // Close closes the pool
}

// New returns a DB on a service's own pool, which Close leaves open. It does no
// I/O.
func New(pool *sql.DB, dialect sqldb.Dialect, schema Schema) *DB {
	return &DB{DB: pool, dialect: dialect, schema: schema}
}

// Open opens the database at the URL, for Close to close, and brings the tables
// up to date. Errors: those of sqldb.Open and of Migrate.
func Open(ctx context.Context, url string, schema Schema) (*DB, error) {
	pool, dialect, err := sqldb.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", schema.pkg(), err)
	}
	db := New(pool, dialect, schema)
	db.owned = true
	if err := db.migrate(ctx); err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, fmt.Errorf("%s: open %s: %w", schema.pkg(), url, err)
	}
	return db, nil
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: Unsupported for an unknown dialect or a database of a newer release,
// Invalid for the prefix, Corrupt, Unavailable.
func (db *DB) Migrate(ctx context.Context) error {
	if err := db.migrate(ctx); err != nil {
		return fmt.Errorf("%s: migrate: %w", db.schema.pkg(), err)
	}
	return nil
}

func (db *DB) migrate(ctx context.Context) error {
	if db.dialect != sqldb.SQLite {
		return fault.Errorf(fault.Unsupported, "dialect %q: use %s.SQLite", db.dialect, db.schema.pkg())
	}
	set, err := db.schema.set()
	if err != nil {
		return err
	}
	return migrate.Up(ctx, db.DB, set)
}

// Close closes the pool if Open opened it.
func (db *DB) Close() error {
	if !db.owned {
		return nil
	}
	if err := db.DB.Close(); err != nil {
		return fmt.Errorf("%s: close: %w", db.schema.pkg(), sqldb.Fault(err))
	}
	return nil
}

// SQL returns a statement with the prefix filled in for {p}.
func (db *DB) SQL(statement string) string {
	return strings.ReplaceAll(statement, "{p}", db.schema.prefix())
}

// Tx runs fn in a transaction that may write; see sqldb.Tx.
func (db *DB) Tx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return sqldb.Tx(ctx, db.DB, fn)
}

// ReadTx runs fn in a transaction that reads; see sqldb.ReadTx.
func (db *DB) ReadTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return sqldb.ReadTx(ctx, db.DB, fn)
}
