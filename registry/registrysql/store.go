package registrysql

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/sqlstore"
)

//go:embed migration
var migrations embed.FS

// Schema returns the steps that make the store's tables, which can be printed
// for an administrator.
func Schema() sqlstore.Schema { return sqlstore.Schema{Domain: "registry", Files: migrations} }

// Store is a registry.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too; one of WithTx is as its transaction.
type Store struct {
	registry.UnimplementedStore
	db    *sqlstore.DB
	owned bool // Close closes the database
}

var _ registry.Store = (*Store)(nil)

// New returns a store on a database, which is the caller's to close. It does no
// I/O: call Migrate before the first use.
func New(db *sqlstore.DB) *Store { return &Store{db: db} }

// Open opens the database at the URL, such as sqlite:registry.db or
// postgres://db/shop (see sqlstore.Open), and brings its tables up to date. Close
// the store. Errors: those of sqlstore.Open.
func Open(ctx context.Context, url string, opts *sqlstore.Options) (*Store, error) {
	db, err := sqlstore.Open(ctx, url, opts, Schema())
	if err != nil {
		return nil, fmt.Errorf("registrysql: %w", err)
	}
	s := New(db)
	s.owned = true
	return s, nil
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: those of sqlstore.DB.Migrate.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.db.Migrate(ctx, Schema()); err != nil {
		return fmt.Errorf("registrysql: migrate: %w", err)
	}
	return nil
}

// WithTx returns a store that does everything inside tx, a transaction of the
// service's own on the same database: what it changes is there when the service
// commits. A model that it changes stays locked until then. See
// sqlstore.DB.WithTx.
func (s *Store) WithTx(tx *sql.Tx) *Store { return &Store{db: s.db.WithTx(tx)} }

// Close closes the database if Open opened it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("registrysql: close: %w", err)
	}
	return nil
}

// modelID is the id of the model whose name is the argument. As a value of its
// own it lets an index give the rows of the model in their order.
const modelID = `(SELECT id FROM {p}registry_model WHERE name = ?)`

// locked is a model that a transaction has to itself.
type locked struct {
	tx   *sqlstore.Tx
	id   string
	name string
	seq  int64 // of its last event
}

// change runs fn in a transaction that has the model's row locked: changes of
// one model happen one after the other. Errors: NotFound (model) besides fn's.
func (s *Store) change(ctx context.Context, model string, fn func(m *locked) error) error {
	return s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		m := &locked{tx: tx, name: model}
		err := tx.QueryRow(ctx, `SELECT id, seq FROM {p}registry_model WHERE name = ?`+tx.ForUpdate(), model).Scan(&m.id, &m.seq)
		if err != nil {
			return orElse(err, modelNotFound(model))
		}
		return fn(m)
	})
}

// page reads rows of a model. Without one it makes sure that the model exists.
func page[T any](ctx context.Context, s *Store, model string, scan func(sqlstore.Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := sqlstore.Select(ctx, s.db, scan, query, args...)
	if err != nil || len(rows) > 0 {
		return rows, err
	}
	_, err = s.Model(ctx, model)
	return nil, err
}

// missing says what it is that was not found: the model, or the row in it. Other
// errors come back as they are.
func (s *Store) missing(ctx context.Context, err error, model string, row error) error {
	if fault.Kind(err) != registry.ErrNotFound {
		return err
	}
	if _, err := s.Model(ctx, model); err != nil {
		return err
	}
	return row
}

// orElse returns other in the place of a NotFound.
func orElse(err, other error) error {
	if fault.Kind(err) == registry.ErrNotFound {
		return other
	}
	return err
}

func modelNotFound(model string) error {
	return fault.Errorf(registry.ErrNotFound, "model %s: not found", model)
}

func limitOf(limit int) int { return cmp.Or(limit, registry.DefaultPage) }
