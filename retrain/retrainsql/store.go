package retrainsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/retrain"
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
	return sqlstore.Schema{Domain: "retrain", Files: migrationFiles, Options: opts}
}

// Store is a retrain.Store in a SQL database. It is safe for concurrent use,
// by several processes on one database too.
type Store struct {
	retrain.UnimplementedStore
	db *sqlstore.DB
}

var _ retrain.Store = (*Store)(nil)

// New returns a store on the service's own pool, which it never closes. It does
// no I/O: call Migrate before the first use of a database.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	return &Store{db: sqlstore.New(db, dialect, schema(opts))}
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: Unsupported for an unknown dialect or a database of a newer release,
// Invalid for the prefix, Corrupt, Unavailable.
func (s *Store) Migrate(ctx context.Context) error { return s.db.Migrate(ctx) }

// Migrations returns the steps that Migrate takes, for an administrator to
// review, or to run by hand: the SQL of each in order, each in one transaction,
// leaves Migrate nothing to do. Errors: Invalid for the prefix.
func Migrations(opts *Options) ([]Migration, error) { return schema(opts).Migrations() }

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.db.ExecContext(ctx, s.db.SQL(query), args...)
	return sqldb.Fault(err)
}

// PutRetraining implements retrain.Store.
func (s *Store) PutRetraining(ctx context.Context, r retrain.Retraining) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fault.Errorf(fault.Invalid, "retraining %s: %w", r.ID, err)
	}
	return s.exec(ctx, `INSERT INTO {p}retrain_retraining (model, number, id, stage, version, body) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, version = excluded.version, body = excluded.body`,
		r.Model, r.Number, r.ID, r.Stage, r.Version, body)
}

// Retrainings implements retrain.Store.
func (s *Store) Retrainings(ctx context.Context, q retrain.RetrainingQuery) ([]retrain.Retraining, error) {
	text, args := `SELECT id, body FROM {p}retrain_retraining WHERE model = ?`, []any{q.Model}
	if q.Version != 0 {
		text, args = text+` AND version = ?`, append(args, q.Version)
	}
	text += ` ORDER BY number DESC`
	if q.Last > 0 {
		text, args = text+` LIMIT ?`, append(args, q.Last)
	}
	found, err := sqlstore.Select(ctx, s.db, func(row sqlstore.Scanner) (r retrain.Retraining, err error) {
		var id string
		var body []byte
		if err := row.Scan(&id, &body); err != nil {
			return r, err
		}
		if err := json.Unmarshal(body, &r); err != nil {
			return r, fault.Errorf(fault.Corrupt, "retraining %s: its record is damaged: %w", id, err)
		}
		return r, nil
	}, s.db.SQL(text), args...)
	slices.Reverse(found)
	return found, err
}

// AppendEvent implements retrain.Store.
func (s *Store) AppendEvent(ctx context.Context, e retrain.Event) error {
	return s.exec(ctx, `INSERT INTO {p}retrain_event (model, time, kind, text, key) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (model, key) DO NOTHING`, e.Model, e.Time.UnixMilli(), e.Kind, e.Text, e.Key)
}

// Events implements retrain.Store.
func (s *Store) Events(ctx context.Context, q retrain.EventQuery) ([]retrain.Event, error) {
	text, args := `SELECT seq, model, time, kind, text, key FROM {p}retrain_event WHERE model = ? AND seq > ? ORDER BY seq`, []any{q.Model, q.After}
	if q.Limit > 0 {
		text, args = text+` LIMIT ?`, append(args, q.Limit)
	}
	return sqlstore.Select(ctx, s.db, func(row sqlstore.Scanner) (e retrain.Event, err error) {
		err = row.Scan(&e.Seq, &e.Model, sqlstore.Millis(&e.Time), &e.Kind, &e.Text, &e.Key)
		return e, err
	}, s.db.SQL(text), args...)
}

// PutState implements retrain.Store.
func (s *Store) PutState(ctx context.Context, st retrain.State) error {
	query, args := `UPDATE {p}retrain_state SET rev = ?, stepped_at = ?, data = ? WHERE model = ? AND rev = ?`,
		[]any{st.Rev, sqlstore.NullMillis(st.SteppedAt), st.Data, st.Model, st.Rev - 1}
	if st.Rev == 1 {
		query, args = `INSERT INTO {p}retrain_state (rev, stepped_at, data, model) VALUES (?, ?, ?, ?) ON CONFLICT (model) DO NOTHING`, args[:4]
	}
	result, err := s.db.ExecContext(ctx, s.db.SQL(query), args...)
	if err != nil {
		return sqldb.Fault(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return sqldb.Fault(err)
	}
	return fault.Errorf(fault.Conflict, "the stored state of %s is not at revision %d", st.Model, st.Rev-1)
}

// State implements retrain.Store.
func (s *Store) State(ctx context.Context, model string) (retrain.State, error) {
	st := retrain.State{Model: model}
	row := s.db.QueryRowContext(ctx, s.db.SQL(`SELECT rev, stepped_at, data FROM {p}retrain_state WHERE model = ?`), model)
	if err := row.Scan(&st.Rev, sqlstore.Millis(&st.SteppedAt), &st.Data); err != nil {
		return retrain.State{}, sqldb.Fault(err)
	}
	return st, nil
}

// PutCursor implements retrain.Store.
func (s *Store) PutCursor(ctx context.Context, c retrain.Cursor) error {
	return s.exec(ctx, `INSERT INTO {p}retrain_cursor (model, sender, data) VALUES (?, ?, ?)
		ON CONFLICT (model, sender) DO UPDATE SET data = excluded.data`, c.Model, c.Sender, c.Data)
}

// Cursor implements retrain.Store.
func (s *Store) Cursor(ctx context.Context, model, sender string) (retrain.Cursor, error) {
	c := retrain.Cursor{Model: model, Sender: sender}
	row := s.db.QueryRowContext(ctx, s.db.SQL(`SELECT data FROM {p}retrain_cursor WHERE model = ? AND sender = ?`), model, sender)
	return c, sqldb.Fault(row.Scan(&c.Data))
}
