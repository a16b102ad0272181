package driftsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL that a database speaks.
type Dialect = sqldb.Dialect

// SQLite is SQLite 3.35 or later, through any driver.
const SQLite = sqldb.SQLite

// Migration is one numbered step that makes or changes the store's tables: its
// Version from 1, the Name of its file, its SQL and a Checksum.
type Migration = migrate.Migration

// Options are a store's settings; nil means the defaults. Prefix, a string, begins
// every table's name and ends in _; "": mlloop_.
type Options = sqlstore.Options

func schema(opts *Options) sqlstore.Schema {
	return sqlstore.Schema{Domain: "drift", Files: migrationFiles, Options: opts}
}

// Store is a drift.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too.
type Store struct {
	drift.UnimplementedStore
	db *sqlstore.DB
}

var _ drift.Store = (*Store)(nil)

// New returns a store on the service's own pool, which Close leaves open. It
// does no I/O: call Migrate before the first use of a database.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	return &Store{db: sqlstore.New(db, dialect, schema(opts))}
}

// Open opens the database at the URL, such as sqlite:drift.db, and brings its
// tables up to date. Close the store.
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

// Saves of a model go one after the other: each holds the checkpoint's row until
// it is committed, so that a Seq that is read is followed by larger ones only.
const (
	firstCheckpoint = `INSERT INTO {p}drift_checkpoint (version, rev, token, prediction_seq, label_seq, checked_at, state, model, alert_seq)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (model) DO NOTHING RETURNING alert_seq`
	nextCheckpoint = `UPDATE {p}drift_checkpoint SET version = ?, rev = ?, token = ?, prediction_seq = ?, label_seq = ?, checked_at = ?, state = ?
	WHERE model = ? AND rev = ? AND token <= ? RETURNING alert_seq`
)

const saveAlert = `INSERT INTO {p}drift_alert (id, model, seq, version, source, severity, findings, magnitude, worst, fired_at, resolved_at, reason)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, version = excluded.version, source = excluded.source, severity = excluded.severity,
		findings = excluded.findings, magnitude = excluded.magnitude, worst = excluded.worst, fired_at = excluded.fired_at,
		resolved_at = excluded.resolved_at, reason = excluded.reason
	WHERE model = excluded.model`

const selectAlert = `SELECT id, model, seq, version, source, severity, findings, magnitude, worst, fired_at, resolved_at, reason FROM {p}drift_alert`

// Save implements drift.Store.
func (s *Store) Save(ctx context.Context, c drift.Checkpoint, changed []drift.Alert) error {
	err := drift.CheckSave(c, changed)
	if err == nil {
		err = s.db.Tx(ctx, func(tx *sql.Tx) error { return s.save(ctx, tx, c, changed) })
	}
	if err != nil {
		return fmt.Errorf("driftsql: save %q: %w", c.Model, err)
	}
	return nil
}

func (s *Store) save(ctx context.Context, tx *sql.Tx, c drift.Checkpoint, changed []drift.Alert) error {
	seq, err := s.saveCheckpoint(ctx, tx, c)
	if err != nil {
		return err
	}
	before := seq
	for _, a := range changed {
		stored, err := scanAlert(tx.QueryRowContext(ctx, s.db.SQL(selectAlert+` WHERE id = ?`), a.ID))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && stored.Equal(a) {
			continue
		}
		seq++
		if err := s.saveAlert(ctx, tx, seq, a); err != nil {
			return err
		}
	}
	if seq > before {
		_, err = tx.ExecContext(ctx, s.db.SQL(`UPDATE {p}drift_checkpoint SET alert_seq = ? WHERE model = ?`), seq, c.Model)
	}
	return err
}

// saveCheckpoint returns the Seq of the model's latest change of an alert.
func (s *Store) saveCheckpoint(ctx context.Context, tx *sql.Tx, c drift.Checkpoint) (seq int64, err error) {
	state := append([]byte{}, c.State...) // never NULL
	query, args := firstCheckpoint, []any{c.Version, c.Rev, c.Token, c.PredictionSeq, c.LabelSeq, c.At.UnixMilli(), state, c.Model}
	if c.Rev > 1 {
		query, args = nextCheckpoint, append(args, c.Rev-1, c.Token)
	}
	err = tx.QueryRowContext(ctx, s.db.SQL(query), args...).Scan(&seq)
	if !errors.Is(err, sql.ErrNoRows) {
		return seq, err
	}
	var stored drift.Checkpoint // the zero value when there is none
	err = tx.QueryRowContext(ctx, s.db.SQL(`SELECT rev, token FROM {p}drift_checkpoint WHERE model = ?`), c.Model).Scan(&stored.Rev, &stored.Token)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	return 0, c.CheckAfter(stored)
}

func (s *Store) saveAlert(ctx context.Context, tx *sql.Tx, seq int64, a drift.Alert) error {
	findings, err := json.Marshal(a.Columns)
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, s.db.SQL(saveAlert), a.ID, a.Model, seq, a.Version, a.Source, string(a.Severity),
		string(findings), a.Magnitude, a.Worst, a.FiredAt.UnixMilli(), sqlstore.NullMillis(a.ResolvedAt), a.Reason)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return fault.Errorf(drift.ErrConflict, "alert %s is of another model", a.ID)
	}
	return nil
}

// Checkpoint implements drift.Store.
func (s *Store) Checkpoint(ctx context.Context, model string) (drift.Checkpoint, error) {
	c := drift.Checkpoint{Model: model}
	err := s.db.QueryRowContext(ctx, s.db.SQL(`SELECT version, rev, token, prediction_seq, label_seq, checked_at, state FROM {p}drift_checkpoint WHERE model = ?`), model).
		Scan(&c.Version, &c.Rev, &c.Token, &c.PredictionSeq, &c.LabelSeq, sqlstore.Millis(&c.At), &c.State)
	if err != nil {
		return drift.Checkpoint{}, fmt.Errorf("driftsql: checkpoint of %q: %w", model, sqldb.Fault(err))
	}
	if len(c.State) == 0 {
		c.State = nil
	}
	return c, nil
}

// Alerts implements drift.Store.
func (s *Store) Alerts(ctx context.Context, q drift.AlertQuery) ([]drift.Alert, error) {
	if err := q.Check(); err != nil {
		return nil, fmt.Errorf("driftsql: alerts of %q: %w", q.Model, err)
	}
	query, args := selectAlert+` WHERE model = ? AND seq > ?`, []any{q.Model, q.After}
	if q.FiringOnly {
		query += ` AND resolved_at IS NULL`
	}
	if len(q.IDs) > 0 {
		query += ` AND id IN (?` + strings.Repeat(", ?", len(q.IDs)-1) + `)`
		for _, id := range q.IDs {
			args = append(args, id)
		}
	}
	alerts, err := sqlstore.Select(ctx, s.db, scanAlert, s.db.SQL(query+` ORDER BY seq LIMIT ?`), append(args, q.PageSize())...)
	if err != nil {
		return nil, fmt.Errorf("driftsql: alerts of %q: %w", q.Model, err)
	}
	return alerts, nil
}

func scanAlert(row sqlstore.Scanner) (a drift.Alert, err error) {
	var findings string
	err = row.Scan(&a.ID, &a.Model, &a.Seq, &a.Version, &a.Source, &a.Severity, &findings, &a.Magnitude, &a.Worst,
		sqlstore.Millis(&a.FiredAt), sqlstore.Millis(&a.ResolvedAt), &a.Reason)
	if err != nil {
		return drift.Alert{}, err
	}
	if err := json.Unmarshal([]byte(findings), &a.Columns); err != nil {
		return drift.Alert{}, fault.Errorf(drift.ErrCorrupt, "alert %s: its columns: %w", a.ID, err)
	}
	if len(a.Columns) == 0 {
		a.Columns = nil
	}
	return a, nil
}
