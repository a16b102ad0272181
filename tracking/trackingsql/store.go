package trackingsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking"
)

//go:embed migration
var migrationFiles embed.FS

// Schema returns the steps that make the store's tables, which can be printed
// for an administrator.
func Schema() sqlstore.Schema { return sqlstore.Schema{Domain: "tracking", Files: migrationFiles} }

// Store is a tracking.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too.
type Store struct {
	tracking.UnimplementedStore
	db    *sqlstore.DB
	owned bool // Close closes the database
}

var _ tracking.Store = (*Store)(nil)

// New returns a store on a database, which is the caller's to close. It does no
// I/O: call Migrate before the first use.
func New(db *sqlstore.DB) *Store { return &Store{db: db} }

// Open opens the database at the URL, such as sqlite:runs.db or
// postgres://db/shop (see sqlstore.Open), and brings its tables up to date. Close
// the store. Errors: those of sqlstore.Open.
func Open(ctx context.Context, url string, opts *sqlstore.Options) (*Store, error) {
	db, err := sqlstore.Open(ctx, url, opts, Schema())
	if err != nil {
		return nil, fmt.Errorf("trackingsql: %w", err)
	}
	s := New(db)
	s.owned = true
	return s, nil
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: those of sqlstore.DB.Migrate.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.db.Migrate(ctx, Schema()); err != nil {
		return fmt.Errorf("trackingsql: migrate: %w", err)
	}
	return nil
}

// WithTx returns a store that does everything inside tx, a transaction of the
// service's own; see sqlstore.DB.WithTx. It is not safe for concurrent use: call
// it directly, as a tracking.Client writes in the background.
func (s *Store) WithTx(tx *sql.Tx) *Store { return New(s.db.WithTx(tx)) }

// Close closes the database if Open opened it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("trackingsql: close: %w", err)
	}
	return nil
}

// CreateExperiment implements tracking.Store.
func (s *Store) CreateExperiment(ctx context.Context, e tracking.Experiment) error {
	if err := tracking.CheckText(e.ID, e.Name); err != nil {
		return err
	}
	n, err := s.db.Exec(ctx, `INSERT INTO {p}tracking_experiment (id, name, created_at) VALUES (?, ?, ?)
		ON CONFLICT DO NOTHING`, e.ID, e.Name, e.CreatedAt.UnixMilli())
	if err == nil && n == 0 {
		return fault.Errorf(tracking.ErrAlreadyExists, "experiment %q: already exists", e.Name)
	}
	return err
}

// Experiment implements tracking.Store.
func (s *Store) Experiment(ctx context.Context, name string) (tracking.Experiment, error) {
	if err := tracking.CheckText(name); err != nil {
		return tracking.Experiment{}, err
	}
	return scanExperiment(s.db.QueryRow(ctx, `SELECT id, name, created_at FROM {p}tracking_experiment WHERE name = ?`, name))
}

func scanExperiment(row sqlstore.Scanner) (e tracking.Experiment, err error) {
	err = row.Scan(&e.ID, &e.Name, sqlstore.Millis(&e.CreatedAt))
	return e, err
}

// Experiments implements tracking.Store.
func (s *Store) Experiments(ctx context.Context) ([]tracking.Experiment, error) {
	return sqlstore.Select(ctx, s.db, scanExperiment, `SELECT id, name, created_at FROM {p}tracking_experiment ORDER BY name`)
}

// CreateRun implements tracking.Store.
func (s *Store) CreateRun(ctx context.Context, r tracking.RunInfo) error {
	if err := r.CheckText(); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO {p}tracking_run
			(id, experiment_id, name, status, started_at, ended_at, error, rev) VALUES (?, ?, ?, ?, ?, ?, ?, 1)
			ON CONFLICT (id) DO NOTHING`,
			r.ID, r.ExperimentID, r.Name, string(r.Status), r.StartedAt.UnixMilli(), sqlstore.NullMillis(r.EndedAt), r.Error)
		switch {
		case errors.Is(err, tracking.ErrNotFound):
			return fmt.Errorf("experiment %s: %w", r.ExperimentID, err)
		case err == nil && n == 0:
			return fault.Errorf(tracking.ErrAlreadyExists, "run %s: already exists", r.ID)
		}
		return err
	})
}

// UpdateRun implements tracking.Store.
func (s *Store) UpdateRun(ctx context.Context, p tracking.RunPatch) (info tracking.RunInfo, err error) {
	if err := p.CheckText(); err != nil {
		return info, err
	}
	err = s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		for {
			var num int64
			err := tx.QueryRow(ctx, `SELECT `+runColumns+` FROM {p}tracking_run r WHERE r.id = ?`, p.ID).
				Scan(append([]any{&num}, runFields(&info)...)...)
			if err != nil {
				return err
			}
			if p.Rev != 0 && p.Rev != info.Rev {
				return fault.Errorf(tracking.ErrConflict, "run %s is at revision %d, not %d: read it again", p.ID, info.Rev, p.Rev)
			}
			changed := p.Apply(info)
			// Another transaction may have been quicker since the SELECT.
			n, err := tx.Exec(ctx, `UPDATE {p}tracking_run SET name = ?, status = ?, ended_at = ?, error = ?, rev = ? WHERE num = ? AND rev = ?`,
				changed.Name, string(changed.Status), sqlstore.NullMillis(changed.EndedAt), changed.Error, changed.Rev, num, info.Rev)
			if err != nil || n > 0 {
				info = changed
				return err
			}
		}
	})
	return info, err
}

// runNum returns the number of a run in the tables that refer to it.
func runNum(ctx context.Context, tx *sqlstore.Tx, id string) (num int64, err error) {
	err = tx.QueryRow(ctx, `SELECT num FROM {p}tracking_run WHERE id = ?`, id).Scan(&num)
	return num, err
}
