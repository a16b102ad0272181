package trackingsql

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/tracking"
)

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver. Its pool must have
// foreign keys and a busy timeout switched on, as Open does.
const SQLite = sqldb.SQLite

// Options are a Store's settings. The zero value of each is its default.
type Options struct {
	Prefix string // begins every table's name, ends in _; "": mlloop_
}

// Store is a tracking.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too.
type Store struct {
	tracking.UnimplementedStore

	db      *sql.DB
	dialect Dialect
	prefix  string
	owned   bool // Open made db
}

var _ tracking.Store = (*Store)(nil)

// New returns a store on the service's own pool, which it never closes. It
// does no I/O; call Migrate before the first use of a database.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	return &Store{db: db, dialect: dialect, prefix: prefix(opts)}
}

func prefix(opts *Options) string {
	if opts == nil {
		opts = &Options{}
	}
	return cmp.Or(opts.Prefix, migrate.DefaultPrefix)
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
	db, dialect, err := sqldb.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("trackingsql: %w", err)
	}
	s := New(db, dialect, opts)
	s.owned = true
	if err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("trackingsql: open %s: %w", url, err), db.Close())
	}
	return s, nil
}

//go:embed migration/*.sql
var migrationFiles embed.FS

func migrations(prefix string) (migrate.Set, error) {
	files, err := fs.Sub(migrationFiles, "migration")
	return migrate.Set{Name: "tracking", Files: files, Prefix: prefix}, err
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: Unsupported for an unknown dialect or a database of a newer release,
// Invalid for the prefix, Corrupt, Unavailable.
func (s *Store) Migrate(ctx context.Context) error {
	if s.dialect != SQLite {
		return fault.Errorf(tracking.ErrUnsupported, "dialect %q: use trackingsql.SQLite", s.dialect)
	}
	set, err := migrations(s.prefix)
	if err != nil {
		return err
	}
	return migrate.Up(ctx, s.db, set)
}

// Migrations returns the SQL script that makes the tables in an empty
// database, for an administrator to review or to run by hand; Migrate then
// finds nothing left to do. Errors: Invalid for the prefix.
func Migrations(opts *Options) (string, error) {
	set, err := migrations(prefix(opts))
	if err != nil {
		return "", err
	}
	return set.Script()
}

// Close closes the pool if Open made it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	return sqldb.Fault(s.db.Close())
}

// q fills the prefix into a query.
func (s *Store) q(query string) string { return strings.ReplaceAll(query, "{p}", s.prefix) }

// CreateExperiment implements tracking.Store.
func (s *Store) CreateExperiment(ctx context.Context, e tracking.Experiment) error {
	_, err := s.db.ExecContext(ctx, s.q(`INSERT INTO {p}tracking_experiment (id, name, created_at) VALUES (?, ?, ?)`),
		e.ID, e.Name, e.CreatedAt.UnixMilli())
	if err != nil {
		return fmt.Errorf("experiment %q: %w", e.Name, sqldb.Fault(err))
	}
	return nil
}

// Experiment implements tracking.Store.
func (s *Store) Experiment(ctx context.Context, name string) (tracking.Experiment, error) {
	e := tracking.Experiment{Name: name}
	var created int64
	row := s.db.QueryRowContext(ctx, s.q(`SELECT id, created_at FROM {p}tracking_experiment WHERE name = ?`), name)
	if err := row.Scan(&e.ID, &created); err != nil {
		return tracking.Experiment{}, sqldb.Fault(err)
	}
	e.CreatedAt = timeOf(created)
	return e, nil
}

// Experiments implements tracking.Store.
func (s *Store) Experiments(ctx context.Context) ([]tracking.Experiment, error) {
	rows, err := s.db.QueryContext(ctx, s.q(`SELECT id, name, created_at FROM {p}tracking_experiment ORDER BY name`))
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	var es []tracking.Experiment
	err = scan(rows, func() error {
		var e tracking.Experiment
		var created int64
		if err := rows.Scan(&e.ID, &e.Name, &created); err != nil {
			return err
		}
		e.CreatedAt = timeOf(created)
		es = append(es, e)
		return nil
	})
	return es, sqldb.Fault(err)
}

// CreateRun implements tracking.Store.
func (s *Store) CreateRun(ctx context.Context, r tracking.RunInfo) error {
	_, err := s.db.ExecContext(ctx, s.q(`INSERT INTO {p}tracking_run
		(id, experiment_id, name, status, started_at, ended_at, error) VALUES (?, ?, ?, ?, ?, ?, ?)`),
		r.ID, r.ExperimentID, r.Name, r.Status, r.StartedAt.UnixMilli(), millisOf(r.EndedAt), r.Error)
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
func (s *Store) UpdateRun(ctx context.Context, r tracking.RunInfo) error {
	res, err := s.db.ExecContext(ctx, s.q(`UPDATE {p}tracking_run SET name = ?, status = ?, ended_at = ?, error = ? WHERE id = ?`),
		r.Name, r.Status, millisOf(r.EndedAt), r.Error, r.ID)
	if err != nil {
		return sqldb.Fault(err)
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return noRun()
	}
	return sqldb.Fault(err)
}

// runNum returns the number of a run in the tables that refer to it.
func (s *Store) runNum(ctx context.Context, tx *sql.Tx, id string) (num int64, err error) {
	err = tx.QueryRowContext(ctx, s.q(`SELECT num FROM {p}tracking_run WHERE id = ?`), id).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noRun()
	}
	return num, err
}

func noRun() error { return fault.Errorf(tracking.ErrNotFound, "not found") }

// scan calls each for every row, and closes rows.
func scan(rows *sql.Rows, each func() error) error {
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		if err := each(); err != nil {
			return err
		}
	}
	return rows.Err()
}

func timeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

// millisOf is NULL for the zero time.
func millisOf(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}
