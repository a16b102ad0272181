package retrainsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"time"

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

// Options are a store's settings. A nil *Options, and the zero value of a
// field, mean the default.
type Options struct {
	Prefix string // begins every table's name, ends in _; "": mlloop_
}

func (opts *Options) schema() sqlstore.Schema {
	if opts == nil {
		opts = &Options{}
	}
	return sqlstore.Schema{Domain: "retrain", Files: migrationFiles, Prefix: opts.Prefix}
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
	return &Store{db: sqlstore.New(db, dialect, opts.schema())}
}

// Migrate brings the tables up to date; several processes may do so at once.
// Errors: Unsupported for an unknown dialect or a database of a newer release,
// Invalid for the prefix, Corrupt, Unavailable.
func (s *Store) Migrate(ctx context.Context) error { return s.db.Migrate(ctx) }

// Migrations returns the steps that Migrate takes, for an administrator to
// review, or to run by hand: the SQL of each in order, each in one transaction,
// leaves Migrate nothing to do. Errors: Invalid for the prefix.
func Migrations(opts *Options) ([]Migration, error) { return opts.schema().Migrations() }

// PutRetraining implements retrain.Store.
func (s *Store) PutRetraining(ctx context.Context, r retrain.Retraining) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}retrain_retraining (model, number, id, stage, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, body = excluded.body`), r.Model, r.Number, r.ID, r.Stage, body)
	return sqldb.Fault(err)
}

// Retrainings implements retrain.Store.
func (s *Store) Retrainings(ctx context.Context, model string) ([]retrain.Retraining, error) {
	rows, err := s.db.QueryContext(ctx, s.db.SQL(`SELECT number, body FROM {p}retrain_retraining WHERE model = ? ORDER BY number`), model)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	all, err := sqlstore.Collect(rows, func(row sqlstore.Scanner) (r retrain.Retraining, err error) {
		var number int64
		var body []byte
		if err := row.Scan(&number, &body); err != nil {
			return r, err
		}
		if err := json.Unmarshal(body, &r); err != nil {
			return r, fault.Errorf(fault.Corrupt, "retraining %d of %s: %w", number, model, err)
		}
		return r, nil
	})
	return all, sqldb.Fault(err)
}

// AppendEvent implements retrain.Store.
func (s *Store) AppendEvent(ctx context.Context, e retrain.Event) error {
	_, err := s.db.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}retrain_event (model, time, kind, text, key) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (model, key) DO NOTHING`), e.Model, e.Time.UnixMilli(), e.Kind, e.Text, e.Key)
	return sqldb.Fault(err)
}

// Events implements retrain.Store.
func (s *Store) Events(ctx context.Context, model string, after int64) ([]retrain.Event, error) {
	rows, err := s.db.QueryContext(ctx, s.db.SQL(`SELECT seq, model, time, kind, text, key FROM {p}retrain_event
		WHERE model = ? AND seq > ? ORDER BY seq`), model, after)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	all, err := sqlstore.Collect(rows, func(row sqlstore.Scanner) (e retrain.Event, err error) {
		err = row.Scan(&e.Seq, &e.Model, sqlstore.Millis(&e.Time), &e.Kind, &e.Text, &e.Key)
		return e, err
	})
	return all, sqldb.Fault(err)
}

// PutState implements retrain.Store.
func (s *Store) PutState(ctx context.Context, st retrain.State) error {
	var ms int64
	if !st.SteppedAt.IsZero() {
		ms = st.SteppedAt.UnixMilli()
	}
	_, err := s.db.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}retrain_state (model, stepped_at, data) VALUES (?, ?, ?)
		ON CONFLICT (model) DO UPDATE SET stepped_at = excluded.stepped_at, data = excluded.data`), st.Model, ms, st.Data)
	return sqldb.Fault(err)
}

// State implements retrain.Store.
func (s *Store) State(ctx context.Context, model string) (retrain.State, error) {
	st := retrain.State{Model: model}
	var ms int64
	err := s.db.QueryRowContext(ctx, s.db.SQL(`SELECT stepped_at, data FROM {p}retrain_state WHERE model = ?`), model).Scan(&ms, &st.Data)
	if err != nil {
		return retrain.State{}, sqldb.Fault(err)
	}
	if ms != 0 {
		st.SteppedAt = time.UnixMilli(ms).UTC()
	}
	return st, nil
}
