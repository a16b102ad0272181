package driftsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver.
const SQLite = sqldb.SQLite

// Migration is one numbered step that makes or changes the store's tables.
type Migration = migrate.Migration

// Options configures a store. The zero value is ready to use.
type Options struct {
	Prefix string // of the tables' names; "": mlloop_
}

func (o *Options) prefix() string {
	if o == nil || o.Prefix == "" {
		return migrate.DefaultPrefix
	}
	return o.Prefix
}

// Store is a drift.Store on an SQL database. It is safe for concurrent use, by
// several processes too.
type Store struct {
	drift.UnimplementedStore

	db      *sql.DB
	dialect Dialect
	prefix  string
	owned   bool // Close closes db
}

var _ drift.Store = (*Store)(nil)

// New returns a store on the service's own pool. It does no I/O: call Migrate
// once before the first use. Close leaves db open.
func New(db *sql.DB, dialect Dialect, opt *Options) *Store {
	return &Store{db: db, dialect: dialect, prefix: opt.prefix()}
}

// Open opens the database at url (sqlite:PATH), brings its tables up to date
// and returns a store that Close closes with the database. Errors: Unsupported
// for another scheme or a database of a newer release, Unavailable when the
// file cannot be opened, Corrupt when it is damaged.
func Open(ctx context.Context, url string, opt *Options) (*Store, error) {
	db, dialect, err := sqldb.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("driftsql: %w", err)
	}
	s := New(db, dialect, opt)
	s.owned = true
	if err := s.Migrate(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return s, nil
}

// Migrate makes or updates the tables. Several processes may call it at once.
// Errors: Unsupported when the database was written by a newer release.
func (s *Store) Migrate(ctx context.Context) error {
	if s.dialect != SQLite {
		return fault.Errorf(fault.Unsupported, "driftsql: dialect %q: use %q", s.dialect, SQLite)
	}
	if err := migrate.Up(ctx, s.db, migrations(s.prefix)); err != nil {
		return fmt.Errorf("driftsql: migrate: %w", err)
	}
	return nil
}

// Migrations returns the steps that Migrate applies, for those who review them
// or run them by hand.
func Migrations(opt *Options) ([]Migration, error) {
	return migrations(opt.prefix()).Migrations()
}

func migrations(prefix string) migrate.Set {
	files, _ := fs.Sub(migrationFiles, "migration") // the name is a valid path: no error
	return migrate.Set{Name: "drift", Files: files, Prefix: prefix}
}

// Close closes the database if Open opened it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	return sqldb.Fault(s.db.Close())
}

// text fills the prefix into a statement.
func (s *Store) text(statement string) string {
	return strings.ReplaceAll(statement, "{p}", s.prefix)
}

const saveCheckpoint = `INSERT INTO {p}drift_checkpoint (model, version, prediction_seq, label_seq, checked_at, state)
	VALUES (?, ?, ?, ?, ?, ?)
	ON CONFLICT (model) DO UPDATE SET version = excluded.version, prediction_seq = excluded.prediction_seq,
		label_seq = excluded.label_seq, checked_at = excluded.checked_at, state = excluded.state`

const saveAlert = `INSERT INTO {p}drift_alert (id, model, version, source, severity, findings, fired_at, resolved_at, reason)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (id) DO UPDATE SET version = excluded.version, source = excluded.source, severity = excluded.severity,
		findings = excluded.findings, fired_at = excluded.fired_at, resolved_at = excluded.resolved_at, reason = excluded.reason
	WHERE model = excluded.model`

// Save implements drift.Store.
func (s *Store) Save(ctx context.Context, c drift.Checkpoint, changed []drift.Alert) error {
	err := drift.CheckSave(c, changed)
	if err == nil {
		err = sqldb.Tx(ctx, s.db, func(tx *sql.Tx) error { return s.save(ctx, tx, c, changed) })
	}
	if err != nil {
		return fmt.Errorf("driftsql: save %q: %w", c.Model, err)
	}
	return nil
}

func (s *Store) save(ctx context.Context, tx *sql.Tx, c drift.Checkpoint, changed []drift.Alert) error {
	state := append([]byte{}, c.State...) // never NULL
	_, err := tx.ExecContext(ctx, s.text(saveCheckpoint), c.Model, c.Version, c.PredictionSeq, c.LabelSeq, c.At.UnixMilli(), state)
	if err != nil {
		return err
	}
	for _, a := range changed {
		findings, err := json.Marshal(a.Columns)
		if err != nil {
			return err
		}
		var resolved sql.NullInt64
		if !a.Firing() {
			resolved = sql.NullInt64{Int64: a.ResolvedAt.UnixMilli(), Valid: true}
		}
		result, err := tx.ExecContext(ctx, s.text(saveAlert), a.ID, a.Model, a.Version, a.Source, string(a.Severity),
			string(findings), a.FiredAt.UnixMilli(), resolved, a.Reason)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return fault.Errorf(drift.ErrConflict, "alert %s is of another model", a.ID)
		}
	}
	return nil
}

// Checkpoint implements drift.Store.
func (s *Store) Checkpoint(ctx context.Context, model string) (drift.Checkpoint, error) {
	c := drift.Checkpoint{Model: model}
	var at int64
	err := s.db.QueryRowContext(ctx, s.text(`SELECT version, prediction_seq, label_seq, checked_at, state FROM {p}drift_checkpoint WHERE model = ?`), model).
		Scan(&c.Version, &c.PredictionSeq, &c.LabelSeq, &at, &c.State)
	if err != nil {
		return drift.Checkpoint{}, fmt.Errorf("driftsql: checkpoint of %q: %w", model, sqldb.Fault(err))
	}
	c.At = time.UnixMilli(at).UTC()
	if len(c.State) == 0 {
		c.State = nil
	}
	return c, nil
}

// Alerts implements drift.Store.
func (s *Store) Alerts(ctx context.Context, model string, firingOnly bool) ([]drift.Alert, error) {
	out, err := s.alerts(ctx, model, firingOnly)
	if err != nil {
		return nil, fmt.Errorf("driftsql: alerts of %q: %w", model, sqldb.Fault(err))
	}
	return out, nil
}

func (s *Store) alerts(ctx context.Context, model string, firingOnly bool) ([]drift.Alert, error) {
	query := `SELECT id, version, source, severity, findings, fired_at, resolved_at, reason FROM {p}drift_alert WHERE model = ?`
	if firingOnly {
		query += ` AND resolved_at IS NULL`
	}
	rows, err := s.db.QueryContext(ctx, s.text(query+` ORDER BY fired_at, seq`), model)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []drift.Alert
	for rows.Next() {
		a := drift.Alert{Model: model}
		var severity, findings string
		var fired int64
		var resolved sql.NullInt64
		if err := rows.Scan(&a.ID, &a.Version, &a.Source, &severity, &findings, &fired, &resolved, &a.Reason); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(findings), &a.Columns); err != nil {
			return nil, fault.Errorf(drift.ErrCorrupt, "alert %s: its columns: %w", a.ID, err)
		}
		a.Severity, a.FiredAt = drift.Severity(severity), time.UnixMilli(fired).UTC()
		if resolved.Valid {
			a.ResolvedAt = time.UnixMilli(resolved.Int64).UTC()
		}
		if len(a.Columns) == 0 {
			a.Columns = nil
		}
		out = append(out, a)
	}
	return out, rows.Err()
}
