package servesql

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
)

//go:embed migration
var migrationFiles embed.FS

// Schema returns the steps that make the store's tables, which can be printed
// for an administrator.
func Schema() sqlstore.Schema { return sqlstore.Schema{Domain: "serve", Files: migrationFiles} }

// Store is a serve.Store in a SQL database. It is safe for concurrent use, by
// several processes on one database too, but for one that WithTx made, which is
// as its transaction is.
type Store struct {
	serve.UnimplementedStore
	db    *sqlstore.DB
	owned bool // Close closes the database

	schemas *schemas
	routes  *routeChanges
}

var _ serve.Store = (*Store)(nil)

// New returns a store on a database, which is the caller's to close. It does no
// I/O: call Migrate before the first use.
func New(db *sqlstore.DB) *Store {
	return &Store{db: db, schemas: newSchemas(), routes: newRouteChanges(db)}
}

// Open opens the database at the URL, such as sqlite:serve.db or
// postgres://db/shop (see sqlstore.Open), and brings its tables up to date. Close
// the store. Errors: those of sqlstore.Open.
func Open(ctx context.Context, url string, opts *sqlstore.Options) (*Store, error) {
	db, err := sqlstore.Open(ctx, url, opts, Schema())
	if err != nil {
		return nil, fmt.Errorf("servesql: %w", err)
	}
	s := New(db)
	s.owned = true
	return s, nil
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: those of sqlstore.DB.Migrate.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.db.Migrate(ctx, Schema()); err != nil {
		return fmt.Errorf("servesql: migrate: %w", err)
	}
	return nil
}

// WithTx returns a store that does everything inside the service's own
// transaction; see sqlstore.DB.WithTx. Whoever else changes the log of a model
// that was changed in it waits until it ends. WaitRoute is Unsupported there: a
// transaction need not see what others commit.
func (s *Store) WithTx(tx *sql.Tx) *Store {
	return &Store{db: s.db.WithTx(tx), schemas: s.schemas, routes: s.routes}
}

// Close closes the database if Open opened it, and ends what waits for a route.
func (s *Store) Close() error {
	if s.db.InTx() {
		return nil
	}
	s.routes.close()
	if !s.owned {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("servesql: close: %w", err)
	}
	return nil
}

// modelID completes a condition: the number of the model with a name.
const modelID = `(SELECT id FROM {p}serve_model WHERE name = ?)`

func limit(n int) int {
	if n <= 0 {
		return serve.DefaultLimit
	}
	return n
}
