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
	"github.com/mlloop/mlloop/sqlstore"
)

//go:embed migration
var migrationFiles embed.FS

// Schema returns the steps that make the store's tables, which can be printed
// for an administrator.
func Schema() sqlstore.Schema { return sqlstore.Schema{Domain: "drift", Files: migrationFiles} }

// Store is a drift.Store in a SQL database. It is safe for concurrent use, by
// several processes on one database too, but for one that WithTx made, which is
// as its transaction is.
type Store struct {
	drift.UnimplementedStore
	db    *sqlstore.DB
	owned bool // Close closes the database
}

var _ drift.Store = (*Store)(nil)

// New returns a store on a database, which is the caller's to close. It does no
// I/O: call Migrate before the first use.
func New(db *sqlstore.DB) *Store { return &Store{db: db} }

// Open opens the database at the URL, such as sqlite:drift.db or
// postgres://db/shop (see sqlstore.Open), and brings its tables up to date. Close
// the store. Errors: those of sqlstore.Open.
func Open(ctx context.Context, url string, opts *sqlstore.Options) (*Store, error) {
	db, err := sqlstore.Open(ctx, url, opts, Schema())
	if err != nil {
		return nil, fmt.Errorf("driftsql: %w", err)
	}
	s := New(db)
	s.owned = true
	return s, nil
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: those of sqlstore.DB.Migrate.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.db.Migrate(ctx, Schema()); err != nil {
		return fmt.Errorf("driftsql: migrate: %w", err)
	}
	return nil
}

// WithTx returns a store that does everything inside the service's own
// transaction; see sqlstore.DB.WithTx. A Save there holds up other saves of the
// model until the transaction ends.
func (s *Store) WithTx(tx *sql.Tx) *Store { return New(s.db.WithTx(tx)) }

// Close closes the database if Open opened it.
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("driftsql: close: %w", err)
	}
	return nil
}

// Saves of a model go one after the other: each holds the checkpoint's row until
// it is committed, so that a Seq that is read is followed by larger ones only.
const (
	firstCheckpoint = `INSERT INTO {p}drift_checkpoint (version, rev, token, prediction_seq, label_seq, checked_at, state, model, alert_seq)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (model) DO NOTHING RETURNING alert_seq`
	nextCheckpoint = `UPDATE {p}drift_checkpoint SET version = ?, rev = ?, token = ?, prediction_seq = ?, label_seq = ?, checked_at = ?, state = ?
	WHERE model = ? AND rev = ? AND token <= ?`
)

const saveAlert = `INSERT INTO {p}drift_alert AS stored (id, model, seq, version, source, severity, findings, magnitude, worst, fired_at, resolved_at, reason)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, version = excluded.version, source = excluded.source, severity = excluded.severity,
		findings = excluded.findings, magnitude = excluded.magnitude, worst = excluded.worst, fired_at = excluded.fired_at,
		resolved_at = excluded.resolved_at, reason = excluded.reason
	WHERE stored.model = excluded.model`

const selectAlert = `SELECT id, model, seq, version, source, severity, findings, magnitude, worst, fired_at, resolved_at, reason FROM {p}drift_alert`

// Save implements drift.Store.
func (s *Store) Save(ctx context.Context, c drift.Checkpoint, changed []drift.Alert) error {
	err := drift.CheckSave(c, changed)
	if err == nil {
		err = s.db.Tx(ctx, func(tx *sqlstore.Tx) error { return s.save(ctx, tx, c, changed) })
	}
	if err != nil {
		return fmt.Errorf("driftsql: save %q: %w", c.Model, err)
	}
	return nil
}

func (s *Store) save(ctx context.Context, tx *sqlstore.Tx, c drift.Checkpoint, changed []drift.Alert) error {
	seq, err := s.saveCheckpoint(ctx, tx, c)
	if err != nil {
		return err
	}
	before := seq
	for _, a := range changed {
		stored, err := scanAlert(tx.QueryRow(ctx, selectAlert+` WHERE id = ?`, a.ID))
		if err != nil && !errors.Is(err, drift.ErrNotFound) {
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
		_, err = tx.Exec(ctx, `UPDATE {p}drift_checkpoint SET alert_seq = ? WHERE model = ?`, seq, c.Model)
	}
	return err
}

// saveCheckpoint returns the Seq of the model's latest change of an alert.
func (s *Store) saveCheckpoint(ctx context.Context, tx *sqlstore.Tx, c drift.Checkpoint) (seq int64, err error) {
	state := append([]byte{}, c.State...) // never NULL
	query, args := firstCheckpoint, []any{c.Version, c.Rev, c.Token, c.PredictionSeq, c.LabelSeq, c.At.UnixMilli(), state, c.Model}
	if c.Rev > 1 {
		query, args = nextCheckpoint+tx.Brief()+` RETURNING alert_seq`, append(args, c.Rev-1, c.Token)
	}
	err = tx.QueryRow(ctx, query, args...).Scan(&seq)
	if !errors.Is(err, drift.ErrNotFound) {
		return seq, err
	}
	var stored drift.Checkpoint // the zero value when there is none
	err = tx.QueryRow(ctx, `SELECT rev, token FROM {p}drift_checkpoint WHERE model = ?`, c.Model).Scan(&stored.Rev, &stored.Token)
	if err != nil && !errors.Is(err, drift.ErrNotFound) {
		return 0, err
	}
	if err := c.CheckAfter(stored); err != nil {
		return 0, err
	}
	return 0, fault.Errorf(drift.ErrConflict, "another was faster: read the checkpoint again") // and yet another since
}

func (s *Store) saveAlert(ctx context.Context, tx *sqlstore.Tx, seq int64, a drift.Alert) error {
	findings, err := json.Marshal(a.Columns)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, saveAlert, a.ID, a.Model, seq, a.Version, a.Source, string(a.Severity),
		string(findings), a.Magnitude, a.Worst, a.FiredAt.UnixMilli(), sqlstore.NullMillis(a.ResolvedAt), a.Reason)
	if err == nil && n == 0 {
		return fault.Errorf(drift.ErrConflict, "alert %s is of another model", a.ID)
	}
	return err
}

// Checkpoint implements drift.Store.
func (s *Store) Checkpoint(ctx context.Context, model string) (drift.Checkpoint, error) {
	c := drift.Checkpoint{Model: model}
	err := s.db.QueryRow(ctx, `SELECT version, rev, token, prediction_seq, label_seq, checked_at, state FROM {p}drift_checkpoint WHERE model = ?`, model).
		Scan(&c.Version, &c.Rev, &c.Token, &c.PredictionSeq, &c.LabelSeq, sqlstore.Millis(&c.At), &c.State)
	if err != nil {
		return drift.Checkpoint{}, fmt.Errorf("driftsql: checkpoint of %q: %w", model, err)
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
	alerts, err := sqlstore.Select(ctx, s.db, scanAlert, query+` ORDER BY seq LIMIT ?`, append(args, q.PageSize())...)
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
