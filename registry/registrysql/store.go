package registrysql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/registry"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver. Foreign keys should be
// on (PRAGMA foreign_keys), and a busy timeout set.
const SQLite = sqldb.SQLite

// Migration is one numbered step that makes or changes the store's tables.
type Migration = migrate.Migration

// Options configures a store. The zero value is ready to use.
type Options struct {
	Prefix string // of the tables' names; "": mlloop_
}

func (o *Options) prefix() string {
	if o == nil || o.Prefix == "" {
		return migrate.DefaultPrefix
	}
	return o.Prefix
}

// Store is a registry.Store on an SQL database. It is safe for concurrent use,
// by several processes too.
type Store struct {
	registry.UnimplementedStore

	db      *sql.DB
	dialect Dialect
	prefix  string
	owned   bool // Close closes db
}

var _ registry.Store = (*Store)(nil)

// New returns a store in the caller's database. It does no I/O: call Migrate
// before the first use, which also reports a bad dialect or prefix. Close leaves
// the database open.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	return &Store{db: db, dialect: dialect, prefix: opts.prefix()}
}

// Open opens the database at url (sqlite:PATH), brings the tables up to date
// and returns a store that owns the database: Close it. Errors: Unsupported for
// another scheme or a database of a newer release; Invalid; Unavailable; Corrupt.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	db, dialect, err := sqldb.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("registrysql: %w", err)
	}
	s := New(db, dialect, opts)
	s.owned = true
	if err := s.Migrate(ctx); err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, err
	}
	return s, nil
}

// Migrate creates the store's tables, or brings them up to date. Several
// processes may call it at once. Errors: Unsupported for an unknown dialect or a
// database of a newer release; Invalid for the prefix; Corrupt; Unavailable.
func (s *Store) Migrate(ctx context.Context) error {
	if s.dialect != SQLite {
		return fault.Errorf(fault.Unsupported, "registrysql: dialect %q: want %q", s.dialect, SQLite)
	}
	if err := migrate.Up(ctx, s.db, migrationSet(s.prefix)); err != nil {
		return fmt.Errorf("registrysql: migrate: %w", err)
	}
	return nil
}

// Migrations returns the steps that Migrate takes, for review. Errors: Invalid
// for the prefix.
func Migrations(opts *Options) ([]Migration, error) {
	steps, err := migrationSet(opts.prefix()).Migrations()
	if err != nil {
		return nil, fmt.Errorf("registrysql: %w", err)
	}
	return steps, nil
}

func migrationSet(prefix string) migrate.Set {
	files, err := fs.Sub(migrationFiles, "migration")
	if err != nil {
		files = migrationFiles // cannot be: the name is valid
	}
	return migrate.Set{Name: "registry", Files: files, Prefix: prefix}
}

// Close closes the database if Open opened it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("registrysql: close: %w", sqldb.Fault(err))
	}
	return nil
}

// sql fills the prefix into a query.
func (s *Store) sql(query string) string { return strings.ReplaceAll(query, "{p}", s.prefix) }

// change runs fn in a transaction that has the model's row locked: changes of
// one model happen one after the other. Errors: NotFound (model) besides fn's.
func (s *Store) change(ctx context.Context, model string, fn func(tx *sql.Tx) error) error {
	return sqldb.Tx(ctx, s.db, func(tx *sql.Tx) error {
		// Writing first takes the lock at once, also on a pool whose transactions
		// begin as readers.
		result, err := tx.ExecContext(ctx, s.sql(`UPDATE {p}registry_model SET name = name WHERE name = ?`), model)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return modelNotFound(model)
		}
		return fn(tx)
	})
}

// view runs fn in a transaction that reads, after checking that the model exists.
func (s *Store) view(ctx context.Context, model string, fn func(tx *sql.Tx) error) error {
	return sqldb.ReadTx(ctx, s.db, func(tx *sql.Tx) error {
		var one int
		err := tx.QueryRowContext(ctx, s.sql(`SELECT 1 FROM {p}registry_model WHERE name = ?`), model).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return modelNotFound(model)
		}
		if err != nil {
			return err
		}
		return fn(tx)
	})
}

func modelNotFound(model string) error {
	return fault.Errorf(registry.ErrNotFound, "model %s: not found", model)
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, tx *sql.Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

func millis(t time.Time) int64 { return t.UnixMilli() }

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
