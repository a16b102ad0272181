package retrainsql

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// The dialects of OpenDB.
const (
	SQLite     = sqlstore.SQLite
	PostgreSQL = sqlstore.PostgreSQL
)

// Options say where the stores keep what. The zero value of a field is its
// default; nil means all of them.
type Options struct {
	Prefix string // as sqlstore.Options has it; "": mlloop_
	Schema string // as sqlstore.Options has it; "": the connection's own

	// Artifacts keeps the runs' files and the bundles. nil: the database does, in
	// pieces of 1 MiB, so that all processes on it have them.
	Artifacts artifact.Store

	// Engine tunes the engine of the workflows. nil: its defaults.
	Engine *retraindbos.Options

	// Signer signs the heads of the audit trails in a backup, with an ed25519 key
	// that the database does not know. nil: they are not signed.
	Signer crypto.Signer
	// Trusted is the public key that Restore wants them to be signed with. nil:
	// they may be unsigned.
	Trusted ed25519.PublicKey

	// Logger receives what the engine could not do. nil: silent.
	Logger *slog.Logger
}

func (o *Options) tables() *sqlstore.Options {
	if o == nil {
		return nil
	}
	return &sqlstore.Options{Prefix: o.Prefix, Schema: o.Schema}
}

func (o *Options) trusted() ed25519.PublicKey {
	if o == nil {
		return nil
	}
	return o.Trusted
}

// artifactsIn returns the artifact store that goes with the database.
func (o *Options) artifactsIn(db *sqlstore.DB) artifact.Store {
	if o != nil && o.Artifacts != nil {
		return o.Artifacts
	}
	return artifactsql.New(db)
}

// migrated returns the tables that the options ask for.
func (o *Options) migrated() []sqlstore.Schema {
	if o != nil && o.Artifacts != nil {
		return schemas()
	}
	return append(schemas(), artifactsql.Schema())
}

// sign signs a head, where there is a key.
func (o *Options) sign(h registry.Head) (registry.Head, error) {
	if o == nil || o.Signer == nil {
		return h, nil
	}
	return h.Sign(o.Signer)
}

func (o *Options) engine() *retraindbos.Options {
	var e retraindbos.Options
	if o != nil && o.Engine != nil {
		e = *o.Engine
	}
	if o != nil && e.Logger == nil {
		e.Logger = o.Logger
	}
	return &e
}

// Open opens the database at the URL, sqlite:PATH or postgres://… as
// sqlstore.Open takes it, brings all tables up to date and returns every store of
// the loop on it, and an engine. Several processes may open one database: of the
// loops of a model one leads at a time. Close the stores when done.
//
// Errors: those of sqlstore.Open; Unsupported for a database of a newer release.
func Open(ctx context.Context, url string, opts *Options) (*retrain.Stores, error) {
	db, err := sqlstore.Open(ctx, url, opts.tables())
	if err != nil {
		return nil, fmt.Errorf("retrainsql: %w", err)
	}
	stores, err := on(ctx, db, opts)
	if err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, fmt.Errorf("retrainsql: open %s: %w", sqlstore.Redacted(url), err)
	}
	return stores, nil
}

// OpenDB is Open on the service's own pool, which closing the stores leaves open.
// On SQLite the pool has to have foreign keys on. The engine needs a connection
// of the pool besides those that the stores use: give it at least two.
func OpenDB(ctx context.Context, pool *sql.DB, dialect sqlstore.Dialect, opts *Options) (*retrain.Stores, error) {
	db := sqlstore.New(pool, dialect, opts.tables())
	stores, err := on(ctx, db, opts)
	if err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, fmt.Errorf("retrainsql: open: %w", err)
	}
	return stores, nil
}

// on returns the stores on an open database, migrated.
func on(ctx context.Context, db *sqlstore.DB, opts *Options) (*retrain.Stores, error) {
	if err := migrate(ctx, db, opts.migrated()); err != nil {
		return nil, err
	}
	a := &archive{db: db, opts: opts}
	a.stores = retrain.Stores{
		Tracking: trackingsql.New(db), Artifacts: opts.artifactsIn(db), Registry: registrysql.New(db),
		Serve: servesql.New(db), Drift: driftsql.New(db), Retrain: New(db),
		Engine: retraindbos.New(db, opts.engine()), Release: db.Close,
		OwnsArtifacts: opts == nil || opts.Artifacts == nil,
	}
	stores := a.stores
	stores.Archive = a
	return &stores, nil
}
