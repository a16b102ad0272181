package registrysql

import (
	"cmp"
	"context"
	"database/sql"
	"embed"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver. Foreign keys should be
// on (PRAGMA foreign_keys), and a busy timeout set.
const SQLite = sqldb.SQLite

// Migration is one numbered step that makes or changes the store's tables: its
// Version from 1, the Name of its file, its SQL and a Checksum.
type Migration = migrate.Migration

// Options are a store's settings; nil means the defaults. Prefix, a string, begins
// every table's name and ends in _; "": mlloop_.
type Options = sqlstore.Options

func schema(opts *Options) sqlstore.Schema {
	return sqlstore.Schema{Domain: "registry", Files: migrationFiles, Options: opts}
}

// Store is a registry.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too.
type Store struct {
	registry.UnimplementedStore
	db *sqlstore.DB
}

var _ registry.Store = (*Store)(nil)

// New returns a store on the service's own pool, which Close leaves open. It
// does no I/O: call Migrate before the first use of a database.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	return &Store{db: sqlstore.New(db, dialect, schema(opts))}
}

// Open opens the database at the URL, such as sqlite:registry.db, and brings its
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
	return &Store{db: db}, nil
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: Unsupported for an unknown dialect or a database of a newer release,
// Invalid for the prefix, Corrupt, Unavailable.
func (s *Store) Migrate(ctx context.Context) error { return s.db.Migrate(ctx) }

// Migrations returns the steps that Migrate takes, for an administrator to
// review, or to run by hand: the SQL of each in order, each in one transaction,
// leaves Migrate nothing to do. Errors: Invalid for the prefix.
func Migrations(opts *Options) ([]Migration, error) { return schema(opts).Migrations() }

// Close closes the database if Open opened it.
func (s *Store) Close() error { return s.db.Close() }

// change runs fn in a transaction that has the model's row locked: changes of
// one model happen one after the other. Errors: NotFound (model) besides fn's.
func (s *Store) change(ctx context.Context, model string, fn func(tx txn, id string) error) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		t := txn{tx, s.db}
		// Writing first takes the lock at once, also on a pool whose transactions
		// begin as readers.
		if _, err := t.Exec(ctx, `UPDATE {p}registry_model SET name = name WHERE name = ?`, model); err != nil {
			return err
		}
		m, err := getModel(ctx, t, model)
		if err != nil {
			return err
		}
		return fn(t, m.ID)
	})
}

// view runs fn in a transaction that reads, after finding the model.
func (s *Store) view(ctx context.Context, model string, fn func(tx txn, id string) error) error {
	return s.db.ReadTx(ctx, func(tx *sql.Tx) error {
		t := txn{tx, s.db}
		m, err := getModel(ctx, t, model)
		if err != nil {
			return err
		}
		return fn(t, m.ID)
	})
}

func modelNotFound(model string) error {
	return fault.Errorf(registry.ErrNotFound, "model %s: not found", model)
}

func limitOf(limit int) int { return cmp.Or(limit, registry.DefaultPage) }
