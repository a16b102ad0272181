package retrainsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

//go:embed migration
var migrationFiles embed.FS

// Schema returns the steps that make the tables of the loop's own records;
// Migrations those of every store of a loop.
func Schema() sqlstore.Schema { return sqlstore.Schema{Domain: "retrain", Files: migrationFiles} }

// Store is a retrain.Store in a SQL database. It is safe for concurrent use, by
// several processes on one database too, but for one that WithTx made, which is
// as its transaction is.
//
// Whoever changes something of a model holds that model's row until the
// transaction ends, so that events appear in the order of their numbers, and a
// lease that moves fences every write that had not been committed.
type Store struct {
	retrain.UnimplementedStore
	db *sqlstore.DB
}

var _ retrain.Store = (*Store)(nil)

// New returns a store on a database, which is the caller's to close. It does no
// I/O: call Migrate before the first use.
func New(db *sqlstore.DB) *Store { return &Store{db: db} }

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: those of sqlstore.DB.Migrate.
func (s *Store) Migrate(ctx context.Context) error {
	return wrap(s.db.Migrate(ctx, Schema()), "migrate")
}

// WithTx returns a store that does everything inside the service's own
// transaction; see sqlstore.DB.WithTx. A write there holds up the model's loop
// until the transaction ends.
func (s *Store) WithTx(tx *sql.Tx) *Store { return New(s.db.WithTx(tx)) }

// Close implements retrain.Store. The database stays open.
func (s *Store) Close() error { return nil }

// wrap says where an error comes from.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("retrainsql: %s: %w", fmt.Sprintf(format, args...), err)
}

// lock locks the model's row, which it makes where it is missing, and returns
// the lease's token.
func lock(ctx context.Context, tx *sqlstore.Tx, model string) (token int64, err error) {
	err = tx.QueryRow(ctx, `SELECT token FROM {p}retrain_model WHERE model = ?`+tx.ForUpdate(), model).Scan(&token)
	if !errors.Is(err, retrain.ErrNotFound) {
		return token, err
	}
	err = tx.QueryRow(ctx, `INSERT INTO {p}retrain_model AS stored (model, holder, token, lease_until, lease_ttl, event_seq) VALUES (?, '', 0, 0, 0, 0)
		ON CONFLICT (model) DO UPDATE SET token = stored.token RETURNING token`, model).Scan(&token)
	return token, err
}

// place is what a write by compare-and-set is made on: zero where nothing is stored.
type place struct{ rev, token int64 }

// fence refuses a write that is not made on what is stored, or whose writer has
// lost the lease, which has the token.
func fence(what, model string, have, next place, lease int64) error {
	if have.rev != next.rev-1 {
		return fault.Errorf(fault.Conflict, "the stored %s of %s is at revision %d, not %d", what, model, have.rev, next.rev-1)
	}
	if newest := max(have.token, lease); newest > next.token {
		return fault.Errorf(fault.Conflict, "the %s of %s is another process's: it leads with token %d, this write has %d", what, model, newest, next.token)
	}
	return nil
}

// record is something that a model has one of, by compare-and-set.
type record struct {
	what, model string
	next        place
	stored      string // the query of the stored one's place, of args
	args        []any
}

// put runs write in a transaction if the record may follow what is stored.
func (s *Store) put(ctx context.Context, r record, write func(tx *sqlstore.Tx) error) error {
	return s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		lease, err := lock(ctx, tx, r.model)
		if err != nil {
			return err
		}
		var have place
		err = tx.QueryRow(ctx, r.stored, r.args...).Scan(&have.rev, &have.token)
		if err != nil && !errors.Is(err, retrain.ErrNotFound) {
			return err
		}
		if err := fence(r.what, r.model, have, r.next, lease); err != nil {
			return err
		}
		return write(tx)
	})
}
