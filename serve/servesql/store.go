package servesql

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver.
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

// Store is a serve.Store on an SQL database. It is safe for concurrent use, by
// several processes too.
type Store struct {
	serve.UnimplementedStore

	db      *sql.DB
	dialect Dialect
	prefix  string
	owned   bool // Close closes db

	schemas schemas
	mu      sync.Mutex
	stmts   map[string]*sql.Stmt
}

var _ serve.Store = (*Store)(nil)

// New returns a store on the service's own pool. It does no I/O: call Migrate
// once before the first use. Close leaves db open.
func New(db *sql.DB, dialect Dialect, opt *Options) *Store {
	return &Store{
		db:      db,
		dialect: dialect,
		prefix:  opt.prefix(),
		schemas: schemas{byDigest: map[string]int64{}, byID: map[int64]frame.Schema{}},
		stmts:   map[string]*sql.Stmt{},
	}
}

// Open opens the database at url (sqlite:PATH), brings its tables up to date
// and returns a store that Close closes with the database. Errors: Unsupported
// for another scheme or a database of a newer release, Unavailable when the
// file cannot be opened, Corrupt when it is damaged.
func Open(ctx context.Context, url string, opt *Options) (*Store, error) {
	db, dialect, err := sqldb.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("servesql: %w", err)
	}
	s := New(db, dialect, opt)
	s.owned = true
	if err := s.Migrate(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return s, nil
}

// Migrate makes or updates the tables. Several processes may call it at once.
// Errors: Unsupported when the database was written by a newer release.
func (s *Store) Migrate(ctx context.Context) error {
	if s.dialect != SQLite {
		return fault.Errorf(fault.Unsupported, "servesql: dialect %q: use %q", s.dialect, SQLite)
	}
	if err := migrate.Up(ctx, s.db, migrations(s.prefix)); err != nil {
		return fmt.Errorf("servesql: migrate: %w", err)
	}
	return nil
}

// Migrations returns the steps that Migrate applies, for those who review them
// or run them by hand.
func Migrations(opt *Options) ([]Migration, error) {
	return migrations(opt.prefix()).Migrations()
}

func migrations(prefix string) migrate.Set {
	files, _ := fs.Sub(migrationFiles, "migration") // the name is a valid path: no error
	return migrate.Set{Name: "serve", Files: files, Prefix: prefix}
}

// Close closes the database if Open opened it, and releases the prepared
// statements in either case.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, stmt := range s.stmts {
		_ = stmt.Close() // the pool may be closed already
		delete(s.stmts, text)
	}
	if !s.owned {
		return nil
	}
	return sqldb.Fault(s.db.Close())
}

// stmt returns the prepared statement of a text, in which {p} stands for the prefix.
func (s *Store) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, withPrefix(text, s.prefix))
	if err != nil {
		return nil, err
	}
	s.stmts[text] = stmt
	return stmt, nil
}
