package retrainsql

import (
	"context"
	"fmt"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
)

// Migrations returns the SQL of all tables that Open makes, for an administrator
// to review, or to run by hand on an empty database, in one transaction: nothing
// is left for Open to do then but to begin. On PostgreSQL Options.Schema has to
// exist, and a role other than the tables' owner needs USAGE of it and SELECT,
// INSERT, UPDATE and DELETE of its tables. The engine's tables are apart: see
// EngineMigrations. Errors: Unsupported for the dialect, Invalid for the options.
func Migrations(dialect sqlstore.Dialect, opts *Options) (string, error) {
	all := schemas()
	if opts == nil || opts.Artifacts == nil {
		all = append(all, artifactsql.Schema())
	}
	var b strings.Builder
	for _, s := range all {
		steps, err := s.Migrations(dialect, opts.tables())
		if err != nil {
			return "", fmt.Errorf("retrainsql: migrations: %w", err)
		}
		for _, step := range steps {
			fmt.Fprintf(&b, "-- %s: %s\n\n%s\n", s.Domain, step.Name, step.SQL)
		}
	}
	return b.String(), nil
}

// EngineMigrations returns the SQL with which an administrator makes the engine's
// schema and tables in a PostgreSQL database, where the service's role may not: on
// SQLite, and where a role may, the engine does so when it is launched. The
// statements are to be run one by one and outside of a transaction, as psql does.
// role, if any, is given all rights to them. Errors: Invalid for the options.
func EngineMigrations(opts *Options, role string) ([]string, error) {
	if _, err := Schema().Migrations(PostgreSQL, opts.tables()); err != nil {
		return nil, fmt.Errorf("retrainsql: migrations of the engine: %w", err)
	}
	db := sqlstore.New(nil, PostgreSQL, opts.tables()) // only its names are wanted
	return retraindbos.New(db, opts.engine()).Migrations(role)
}

// migrate brings all tables up to date.
func migrate(ctx context.Context, db *sqlstore.DB, all []sqlstore.Schema) error {
	for _, s := range all {
		if err := db.Migrate(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// migrateTo makes the tables as they were in a backup: rows of an earlier
// version go in before the steps that change them.
func migrateTo(ctx context.Context, db *sqlstore.DB, all []sqlstore.Schema, versions map[string]int) error {
	known := make(map[string]bool)
	for _, s := range all {
		known[s.Domain] = true
		steps, err := s.Migrations(db.Dialect(), &sqlstore.Options{Prefix: db.Prefix(), Schema: db.Schema()})
		if err != nil {
			return err
		}
		switch want := versions[s.Domain]; {
		case want < 0:
			return fault.Errorf(fault.Corrupt, "the backup has version %d of the %s tables: restore another one", want, s.Domain)
		case want > len(steps):
			return fault.Errorf(fault.Unsupported, "the backup has version %d of the %s tables, this program knows %d: run the newer mlloop", want, s.Domain, len(steps))
		case want == len(steps):
			err = db.Migrate(ctx, s)
		default:
			err = runSteps(ctx, db, s.Domain, steps[:want])
		}
		if err != nil {
			return err
		}
	}
	for domain := range versions {
		if !known[domain] {
			return fault.Errorf(fault.Unsupported, "the backup has %s tables, which this program does not know: run the newer mlloop", domain)
		}
	}
	return nil
}

// runSteps makes the tables of a version that is not the latest one.
func runSteps(ctx context.Context, db *sqlstore.DB, domain string, steps []sqlstore.Migration) error {
	applied, err := appliedSteps(ctx, db, domain)
	if err != nil {
		return err
	}
	if applied > len(steps) {
		return fault.Errorf(fault.Conflict, "the database has version %d of the %s tables, the backup version %d: restore into one that nothing has opened yet",
			applied, domain, len(steps))
	}
	tx, err := db.Pool().BeginTx(ctx, nil)
	if err != nil {
		return sqlstore.Fault(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if schema := db.Schema(); schema != "" {
		if _, err := tx.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS "`+schema+`"`); err != nil {
			return sqlstore.Fault(err)
		}
	}
	for _, step := range steps[applied:] {
		if _, err := tx.ExecContext(ctx, step.SQL); err != nil {
			return fmt.Errorf("migration %s of the %s tables: %w", step.Name, domain, sqlstore.Fault(err))
		}
	}
	return sqlstore.Fault(tx.Commit())
}

// appliedSteps returns how many steps of a store's tables the database has had.
func appliedSteps(ctx context.Context, db *sqlstore.DB, domain string) (n int, err error) {
	text := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '{n}migration'`
	if db.Dialect() == sqlstore.PostgreSQL {
		text = `SELECT COUNT(to_regclass('{p}migration'))`
	}
	if err := db.QueryRow(ctx, text).Scan(&n); err != nil || n == 0 {
		return 0, err
	}
	err = db.QueryRow(ctx, `SELECT COUNT(*) FROM {p}migration WHERE store = ?`, domain).Scan(&n)
	return n, err
}
