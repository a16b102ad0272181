package retraindbos

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mlloop/mlloop/sqlstore"
)

// tablesLookAgain is how long a process waits that finds another one making the tables.
const tablesLookAgain = 50 * time.Millisecond

// lockTables waits until no other process makes DBOS's tables in the schema: DBOS
// itself looks whether they are there and then makes them, and of two processes
// that start on a new database one fails. done ends the lock. On SQLite pool is
// nil: its migrations begin with the lock of all writers.
//
// The lock is tried for and not waited for: DBOS creates indexes concurrently,
// which waits for every snapshot in use, and so for a statement that waits for us.
// For the same reason the statement goes by the simple protocol: the extended one
// keeps its snapshot until the next.
func lockTables(ctx context.Context, pool *pgxpool.Pool, schema string) (done func(), err error) {
	if pool == nil {
		return func() {}, nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte("mlloop dbos " + schema)) // never fails
	for {
		tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
		if err != nil {
			return nil, sqlstore.Fault(err)
		}
		done = func() { _ = tx.Rollback(context.WithoutCancel(ctx)) } // a lost connection has lost the lock too
		var mine bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", pgx.QueryExecModeSimpleProtocol, int64(h.Sum64())).Scan(&mine); err != nil { //nolint:gosec // any 64 bits
			done()
			return nil, sqlstore.Fault(err)
		}
		if mine {
			return done, nil
		}
		done()
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), ctx.Err())
		case <-time.After(tablesLookAgain):
		}
	}
}
