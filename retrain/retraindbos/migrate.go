package retraindbos

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/jackc/pgx/v5"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
)

// Migrations returns the SQL with which an administrator makes the engine's schema
// and tables in a PostgreSQL database that has none, where the service's role may
// not: statements that end in a semicolon, and comments, to be run one by one and
// outside of a transaction, as psql does. role, if any, is given all rights to
// them. Errors: Unsupported on SQLite, where Launch makes the tables.
func (e *Engine) Migrations(role string) ([]string, error) {
	if d := e.db.Dialect(); d != sqlstore.PostgreSQL {
		return nil, fault.Errorf(fault.Unsupported, "retraindbos: migrations: dialect %q: want %q", d, sqlstore.PostgreSQL)
	}
	all, err := dbos.MigrationStatements(e.schema(), 1)
	if err != nil {
		return nil, fmt.Errorf("retraindbos: migrations: %w", err)
	}
	if role != "" {
		for _, grant := range dbos.PermissionStatements(e.schema(), role) {
			all = append(all, grant+";")
		}
	}
	return all, nil
}

// lockPoll is how often a process that waits for another one's migration looks.
const lockPoll = 50 * time.Millisecond

// migrating calls fn, in which DBOS may make or change its tables, while no other
// process does: of several that did so at one time on PostgreSQL all but one would
// fail. Who waits asks again and again, and does not stand in a lock's queue:
// DBOS makes indexes concurrently, which waits for every statement under way.
// On SQLite DBOS sees to it itself.
func (e *Engine) migrating(ctx context.Context, fn func() error) error {
	if e.db.Dialect() != sqlstore.PostgreSQL {
		return fn()
	}
	for {
		alone, err := e.alone(ctx, fn)
		if alone || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

// alone calls fn if no other process is in its own. The lock ends with the
// transaction, and with the process.
func (e *Engine) alone(ctx context.Context, fn func() error) (bool, error) {
	tx, err := e.db.Pool().BeginTx(ctx, nil)
	if err != nil {
		return false, sqlstore.Fault(err)
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	key := fnv.New64a()
	_, _ = key.Write([]byte("retraindbos " + e.schema())) // cannot fail
	var got bool
	// The extended protocol would leave a snapshot open, which DBOS's indexes wait for.
	err = tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", pgx.QueryExecModeSimpleProtocol, int64(key.Sum64())).Scan(&got)
	if err != nil {
		return false, sqlstore.Fault(err)
	}
	if !got {
		return false, nil
	}
	return true, fn()
}
