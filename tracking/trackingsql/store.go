package trackingsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/tracking"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver. Its pool must have
// foreign keys and a busy timeout switched on, as Open does.
const SQLite = sqldb.SQLite

// Migration is one numbered step that makes or changes the store's tables: its
// Version from 1, the Name of its file, its SQL and a Checksum.
type Migration = migrate.Migration

// Options are a store's settings; nil means the defaults. Prefix, a string, begins
// every table's name and ends in _; "": mlloop_.
type Options = sqlstore.Options

func schema(opts *Options) sqlstore.Schema {
	return sqlstore.Schema{Domain: "tracking", Files: migrationFiles, Options: opts}
}

// Store is a tracking.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too.
type Store struct {
	tracking.UnimplementedStore
	db *sqlstore.DB
}

var _ tracking.Store = (*Store)(nil)

// New returns a store on the service's own pool, which Close leaves open. It
// does no I/O: call Migrate before the first use of a database.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	return &Store{db: sqlstore.New(db, dialect, schema(opts))}
}

// Open opens the database at the URL, such as sqlite:runs.db, and brings its
// tables up to date. Close the store, or the Client that holds it.
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

// CreateExperiment implements tracking.Store.
func (s *Store) CreateExperiment(ctx context.Context, e tracking.Experiment) error {
	if err := tracking.CheckText(e.ID, e.Name); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}tracking_experiment (id, name, created_at) VALUES (?, ?, ?)`),
		e.ID, e.Name, e.CreatedAt.UnixMilli())
	if err != nil {
		return fmt.Errorf("experiment %q: %w", e.Name, sqldb.Fault(err))
	}
	return nil
}

// Experiment implements tracking.Store.
func (s *Store) Experiment(ctx context.Context, name string) (tracking.Experiment, error) {
	if err := tracking.CheckText(name); err != nil {
		return tracking.Experiment{}, err
	}
	e, err := scanExperiment(s.db.QueryRowContext(ctx, s.db.SQL(`SELECT id, name, created_at FROM {p}tracking_experiment WHERE name = ?`), name))
	if err != nil {
		return tracking.Experiment{}, sqldb.Fault(err)
	}
	return e, nil
}

func scanExperiment(row sqlstore.Scanner) (e tracking.Experiment, err error) {
	err = row.Scan(&e.ID, &e.Name, sqlstore.Millis(&e.CreatedAt))
	return e, err
}

// Experiments implements tracking.Store.
func (s *Store) Experiments(ctx context.Context) ([]tracking.Experiment, error) {
	return sqlstore.Select(ctx, s.db, scanExperiment, s.db.SQL(`SELECT id, name, created_at FROM {p}tracking_experiment ORDER BY name`))
}

// CreateRun implements tracking.Store.
func (s *Store) CreateRun(ctx context.Context, r tracking.RunInfo) error {
	if err := r.CheckText(); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}tracking_run
		(id, experiment_id, name, status, started_at, ended_at, error, rev) VALUES (?, ?, ?, ?, ?, ?, ?, 1)`),
		r.ID, r.ExperimentID, r.Name, r.Status, r.StartedAt.UnixMilli(), sqlstore.NullMillis(r.EndedAt), r.Error)
	err = sqldb.Fault(err)
	switch {
	case errors.Is(err, tracking.ErrNotFound):
		return fmt.Errorf("experiment %s: %w", r.ExperimentID, err)
	case err != nil:
		return fmt.Errorf("run %s: %w", r.ID, err)
	}
	return nil
}

// UpdateRun implements tracking.Store.
func (s *Store) UpdateRun(ctx context.Context, p tracking.RunPatch) (info tracking.RunInfo, err error) {
	if err := p.CheckText(); err != nil {
		return info, err
	}
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		found, err := sqlstore.Select(ctx, tx, func(row sqlstore.Scanner) (r tracking.RunInfo, err error) {
			var num int64
			return r, row.Scan(append([]any{&num}, runFields(&r)...)...)
		}, s.db.SQL(`SELECT `+runColumns+` FROM {p}tracking_run r WHERE r.id = ?`), p.ID)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return noRun()
		}
		info = found[0]
		if p.Rev != 0 && p.Rev != info.Rev {
			return fault.Errorf(tracking.ErrConflict, "run %s is at revision %d, not %d: read it again", p.ID, info.Rev, p.Rev)
		}
		info = p.Apply(info)
		_, err = tx.ExecContext(ctx, s.db.SQL(`UPDATE {p}tracking_run SET name = ?, status = ?, ended_at = ?, error = ?, rev = ? WHERE id = ?`),
			info.Name, info.Status, sqlstore.NullMillis(info.EndedAt), info.Error, info.Rev, p.ID)
		return err
	})
	return info, err
}

// runNum returns the number of a run in the tables that refer to it.
func (s *Store) runNum(ctx context.Context, tx *sql.Tx, id string) (num int64, err error) {
	if err := tracking.CheckText(id); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, s.db.SQL(`SELECT num FROM {p}tracking_run WHERE id = ?`), id).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noRun()
	}
	return num, err
}

func noRun() error { return fault.Errorf(tracking.ErrNotFound, "not found") }
