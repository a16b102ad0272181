package retrainsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/retrain"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// Dialect names the SQL of the database.
type Dialect = sqldb.Dialect

// SQLite is the dialect of New.
const SQLite = sqldb.SQLite

// Options tune the stores. A nil *Options means all defaults.
type Options struct {
	// Prefix begins the name of every table. "": "mlloop_".
	Prefix string
}

func (o *Options) prefix() string {
	if o == nil || o.Prefix == "" {
		return migrate.DefaultPrefix
	}
	return o.Prefix
}

// Store is the retrain.Store on a SQL database. It is safe for concurrent use.
type Store struct {
	retrain.UnimplementedStore
	db      *sql.DB
	dialect Dialect
	prefix  string
}

var _ retrain.Store = (*Store)(nil)

// New returns a store on the service's own database. It does no I/O: call
// Migrate before first use. Close leaves the database open.
func New(db *sql.DB, dialect Dialect, o *Options) *Store {
	return &Store{db: db, dialect: dialect, prefix: o.prefix()}
}

// Migration is one numbered step that makes or changes the store's tables.
type Migration = migrate.Migration

// Migrations returns the SQL that Migrate runs, for a person to review or run.
func Migrations(o *Options) ([]Migration, error) {
	set, err := migrationSet(o.prefix())
	if err != nil {
		return nil, fmt.Errorf("retrainsql: migrations: %w", err)
	}
	return set.Migrations()
}

func migrationSet(prefix string) (migrate.Set, error) {
	files, err := fs.Sub(migrationFiles, "migration")
	return migrate.Set{Name: "retrain", Files: files, Prefix: prefix}, err
}

// Migrate creates or upgrades the store's tables. Errors: Unsupported for
// another dialect, or a database that a newer release has written.
func (s *Store) Migrate(ctx context.Context) error {
	if s.dialect != SQLite {
		return fault.Errorf(fault.Unsupported, "retrainsql: dialect %q: want %q", s.dialect, SQLite)
	}
	set, err := migrationSet(s.prefix)
	if err == nil {
		err = migrate.Up(ctx, s.db, set)
	}
	if err != nil {
		return fmt.Errorf("retrainsql: migrate: %w", err)
	}
	return nil
}

func (s *Store) sql(query string) string { return strings.ReplaceAll(query, "{p}", s.prefix) }

// PutRetraining implements retrain.Store.
func (s *Store) PutRetraining(ctx context.Context, r retrain.Retraining) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, s.sql(`INSERT INTO {p}retrain_retraining (model, number, id, stage, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, body = excluded.body`), r.Model, r.Number, r.ID, r.Stage, body)
	return sqldb.Fault(err)
}

// Retrainings implements retrain.Store.
func (s *Store) Retrainings(ctx context.Context, model string) ([]retrain.Retraining, error) {
	rows, err := s.db.QueryContext(ctx, s.sql(`SELECT body FROM {p}retrain_retraining WHERE model = ? ORDER BY number`), model)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	defer func() { _ = rows.Close() }()
	var all []retrain.Retraining
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, sqldb.Fault(err)
		}
		var r retrain.Retraining
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fault.Errorf(fault.Corrupt, "retraining %d of %s: %w", len(all), model, err)
		}
		all = append(all, r)
	}
	return all, sqldb.Fault(rows.Err())
}

// AppendEvent implements retrain.Store.
func (s *Store) AppendEvent(ctx context.Context, e retrain.Event) error {
	_, err := s.db.ExecContext(ctx, s.sql(`INSERT INTO {p}retrain_event (model, time, kind, text, key) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (model, key) DO NOTHING`), e.Model, e.Time.UnixMilli(), e.Kind, e.Text, e.Key)
	return sqldb.Fault(err)
}

// Events implements retrain.Store.
func (s *Store) Events(ctx context.Context, model string, after int64) ([]retrain.Event, error) {
	rows, err := s.db.QueryContext(ctx, s.sql(`SELECT seq, model, time, kind, text, key FROM {p}retrain_event
		WHERE model = ? AND seq > ? ORDER BY seq`), model, after)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	defer func() { _ = rows.Close() }()
	var all []retrain.Event
	for rows.Next() {
		var e retrain.Event
		var ms int64
		if err := rows.Scan(&e.Seq, &e.Model, &ms, &e.Kind, &e.Text, &e.Key); err != nil {
			return nil, sqldb.Fault(err)
		}
		e.Time = time.UnixMilli(ms).UTC()
		all = append(all, e)
	}
	return all, sqldb.Fault(rows.Err())
}

// PutState implements retrain.Store.
func (s *Store) PutState(ctx context.Context, st retrain.State) error {
	var ms int64
	if !st.SteppedAt.IsZero() {
		ms = st.SteppedAt.UnixMilli()
	}
	_, err := s.db.ExecContext(ctx, s.sql(`INSERT INTO {p}retrain_state (model, stepped_at, data) VALUES (?, ?, ?)
		ON CONFLICT (model) DO UPDATE SET stepped_at = excluded.stepped_at, data = excluded.data`), st.Model, ms, st.Data)
	return sqldb.Fault(err)
}

// State implements retrain.Store.
func (s *Store) State(ctx context.Context, model string) (retrain.State, error) {
	st := retrain.State{Model: model}
	var ms int64
	err := s.db.QueryRowContext(ctx, s.sql(`SELECT stepped_at, data FROM {p}retrain_state WHERE model = ?`), model).Scan(&ms, &st.Data)
	if err != nil {
		return retrain.State{}, sqldb.Fault(err)
	}
	if ms != 0 {
		st.SteppedAt = time.UnixMilli(ms).UTC()
	}
	return st, nil
}
