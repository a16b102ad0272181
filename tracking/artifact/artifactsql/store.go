package artifactsql

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

//go:embed migration
var migrations embed.FS

// How long bytes stay that no digest names.
const (
	staging = 24 * time.Hour // since the last chunk of a Put that has not ended
	reading = time.Hour      // since they were deleted or replaced
)

// sweepEvery is how often a Store looks for what is to be removed.
const sweepEvery = time.Hour

// chunkSize is how much of a blob is in one row, in bytes.
const chunkSize = 1 << 20

// Store keeps artifacts in a database. It is safe for concurrent use, but for
// one that WithTx made.
type Store struct {
	artifact.UnimplementedStore
	db    *sqlstore.DB
	owned bool         // Close closes the database
	inTx  bool         // of the service: nothing is swept
	swept atomic.Int64 // when, in Unix milliseconds
}

var _ artifact.Store = (*Store)(nil)

// Schema returns the steps that make the store's tables, which can be printed
// for an administrator.
func Schema() sqlstore.Schema { return sqlstore.Schema{Domain: "artifact", Files: migrations} }

// Open opens the database at the URL, such as sqlite:files.db or
// postgres://db/shop (see sqlstore.Open), and brings its tables up to date. Close
// the store. Errors: those of sqlstore.Open.
func Open(ctx context.Context, url string, opts *sqlstore.Options) (*Store, error) {
	db, err := sqlstore.Open(ctx, url, opts, Schema())
	if err != nil {
		return nil, fmt.Errorf("artifactsql: %w", err)
	}
	s := New(db)
	s.owned = true
	return s, nil
}

// New returns a store on a database, which is the caller's to close. It does no
// I/O: call Migrate before the first use.
func New(db *sqlstore.DB) *Store { return &Store{db: db} }

// WithTx returns the store inside a transaction of the service's own: a Put is
// durable when that commits, and what was opened must be read before it ends.
func (s *Store) WithTx(tx *sql.Tx) *Store { return &Store{db: s.db.WithTx(tx), inTx: true} }

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: those of sqlstore.DB.Migrate.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.db.Migrate(ctx, Schema()); err != nil {
		return fmt.Errorf("artifactsql: migrate: %w", err)
	}
	return nil
}

// Close closes the database if Open opened it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("artifactsql: close: %w", err)
	}
	return nil
}
