package servesql

import (
	"context"
	"database/sql"
	"embed"
	"sync"

	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver.
const SQLite = sqldb.SQLite

// Migration is one numbered step that makes or changes the store's tables: its
// Version from 1, the Name of its file, its SQL and a Checksum.
type Migration = migrate.Migration

// Options are a store's settings; nil means the defaults. Prefix, a string, begins
// every table's name and ends in _; "": mlloop_.
type Options = sqlstore.Options

func schema(opts *Options) sqlstore.Schema {
	return sqlstore.Schema{Domain: "serve", Files: migrationFiles, Options: opts}
}

// Store is a serve.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too.
type Store struct {
	serve.UnimplementedStore
	db *sqlstore.DB

	schemas schemas
	routes  routeChanges
	mu      sync.Mutex
	stmts   map[string]*sql.Stmt
}

var _ serve.Store = (*Store)(nil)

// New returns a store on the service's own pool, which Close leaves open. It
// does no I/O: call Migrate before the first use of a database.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	return newStore(sqlstore.New(db, dialect, schema(opts)))
}

// Open opens the database at the URL, such as sqlite:serve.db, and brings its
// tables up to date. Close the store.
//
// The URL may have ?synchronous=full (the default: what is acknowledged
// survives power loss) or ?synchronous=normal (it survives the death of the
// process; the last moments may be lost with the machine). Errors: Unsupported
// for another scheme and for a database of a newer release, Unavailable,
// Corrupt, Invalid.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	db, err := sqlstore.Open(ctx, url, schema(opts))
	if err != nil {
		return nil, err
	}
	return newStore(db), nil
}

func newStore(db *sqlstore.DB) *Store {
	return &Store{
		db:      db,
		schemas: schemas{byDigest: map[string]int64{}, byID: map[int64]frame.Schema{}},
		stmts:   map[string]*sql.Stmt{},
	}
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: Unsupported for an unknown dialect or a database of a newer release,
// Invalid for the prefix, Corrupt, Unavailable.
func (s *Store) Migrate(ctx context.Context) error { return s.db.Migrate(ctx) }

// Migrations returns the steps that Migrate takes, for an administrator to
// review, or to run by hand: the SQL of each in order, each in one transaction,
// leaves Migrate nothing to do. Errors: Invalid for the prefix.
func Migrations(opts *Options) ([]Migration, error) { return schema(opts).Migrations() }

// Close closes the database if Open opened it, and releases the prepared
// statements in either case.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text, stmt := range s.stmts {
		_ = stmt.Close() // the pool may be closed already
		delete(s.stmts, text)
	}
	return s.db.Close()
}

// stmt returns the prepared statement of a text, in which {p} stands for the prefix.
func (s *Store) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, s.db.SQL(text))
	if err != nil {
		return nil, err
	}
	s.stmts[text] = stmt
	return stmt, nil
}
