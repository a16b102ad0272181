package sqlstore

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/mlloop/mlloop/internal/fault"
)

// Migrate brings a store's tables to the version that this program knows:
// forward only, all missing steps in one transaction, none twice when several
// processes do so at once. A database that lacks nothing is only read. Errors:
// Unsupported when the database was written by a newer release or is too old a
// PostgreSQL, Corrupt when an applied step differs from the one known here or is
// missing, Invalid for the options, Denied, Unavailable.
func (db *DB) Migrate(ctx context.Context, s Schema) error {
	if db.problem != nil {
		return db.problem
	}
	steps, err := s.steps(db.names)
	if err != nil {
		return err
	}
	done, err := db.migrated(ctx, s, steps)
	if err != nil || done {
		return err
	}
	if err := db.createSchema(ctx); err != nil {
		return err
	}
	return db.Tx(ctx, func(tx *Tx) error { return tx.migrate(ctx, s, steps) })
}

// migrated reports whether nothing is to be done, without writing.
func (db *DB) migrated(ctx context.Context, s Schema, steps []Migration) (done bool, err error) {
	if db.Dialect() == PostgreSQL {
		if err := db.checkServer(ctx); err != nil {
			return false, err
		}
	}
	exists, err := db.hasVersions(ctx)
	if err != nil || !exists {
		return false, err
	}
	applied, err := s.applied(ctx, db, steps)
	return applied == len(steps), err
}

// hasVersions reports whether the table of versions exists.
func (db *DB) hasVersions(ctx context.Context) (bool, error) {
	query, name := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?`, db.names.table()+"migration"
	if db.Dialect() == PostgreSQL {
		query = `SELECT COUNT(to_regclass(?))`
	}
	var n int
	err := db.QueryRow(ctx, query, name).Scan(&n)
	return n > 0, err
}

// createSchema makes the schema where it is missing.
func (db *DB) createSchema(ctx context.Context) error {
	schema := db.names.schema
	if schema == "" {
		return nil
	}
	exists, err := hasSchema(ctx, db, schema)
	if err != nil || exists {
		return err
	}
	return db.Tx(ctx, func(tx *Tx) error {
		if err := tx.lockMigrations(ctx); err != nil {
			return err
		}
		// IF NOT EXISTS may still know of no schema that another process made while
		// this one waited: it looks into the session's cache, not into the table.
		if exists, err := hasSchema(ctx, tx, schema); err != nil || exists {
			return err
		}
		if _, err := tx.Exec(ctx, `CREATE SCHEMA "`+schema+`"`); err != nil {
			return fmt.Errorf("schema %s does not exist and cannot be made: %w", schema, err)
		}
		return nil
	})
}

func hasSchema(ctx context.Context, q Querier, schema string) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM pg_namespace WHERE nspname = ?`, schema).Scan(&n)
	return n > 0, err
}

// lockMigrations lets one process migrate at a time. PostgreSQL's lock ends with
// the transaction: one of a session would break behind PgBouncer.
func (t *Tx) lockMigrations(ctx context.Context) error {
	if t.Dialect() != PostgreSQL {
		return nil // the transaction holds the lock of all writers
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte("mlloop migration " + t.db.names.table())) // never fails
	_, err := t.Exec(ctx, `SELECT pg_advisory_xact_lock(?)`, int64(h.Sum64()))
	return err
}

func (t *Tx) migrate(ctx context.Context, s Schema, steps []Migration) error {
	if err := t.lockMigrations(ctx); err != nil {
		return err
	}
	if _, err := t.tx.ExecContext(ctx, t.db.names.versionTable()); err != nil {
		return Fault(err)
	}
	applied, err := s.applied(ctx, t, steps)
	if err != nil {
		return err
	}
	for _, step := range steps[applied:] {
		// Not a Querier's text: it may hold question marks, and several statements.
		if _, err := t.tx.ExecContext(ctx, step.SQL); err != nil {
			return fmt.Errorf("migration %s of the %s tables: %w", step.Name, s.Domain, Fault(err))
		}
	}
	return nil
}

type appliedStep struct {
	version  int
	checksum string
}

// applied returns how many steps the database has, after checking that they
// are the ones known here.
func (s Schema) applied(ctx context.Context, q Querier, steps []Migration) (int, error) {
	found, err := Select(ctx, q, func(row Scanner) (a appliedStep, err error) {
		err = row.Scan(&a.version, &a.checksum)
		return a, err
	}, `SELECT version, checksum FROM {p}migration WHERE store = ? ORDER BY version`, s.Domain)
	if err != nil {
		return 0, err
	}
	for i, a := range found {
		switch {
		case a.version != i+1:
			return 0, fault.Errorf(fault.Corrupt,
				"the database lacks version %d of the %s tables but has version %d: restore a backup", i+1, s.Domain, a.version)
		case i >= len(steps):
			return 0, fault.Errorf(fault.Unsupported,
				"the database has version %d of the %s tables, this program knows %d: run the newer mlloop, or open another database",
				found[len(found)-1].version, s.Domain, len(steps))
		case a.checksum != steps[i].Checksum:
			return 0, fault.Errorf(fault.Corrupt,
				"migration %s of the %s tables differs from the one this database was made with: restore the released file", steps[i].Name, s.Domain)
		}
	}
	return len(found), nil
}
