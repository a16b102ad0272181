package retrainsql

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// Open opens the database at url, brings all tables up to date and returns
// every store of the loop on it, and an engine. Artifacts lie beside the
// database file, in a folder of its name with .artifacts behind it.
//
// The form is sqlite:PATH; a commit survives power loss. With
// sqlite:PATH?synchronous=normal it survives the death of the process, and is
// cheaper. Errors: Unsupported for another scheme or a database of a newer
// release, Unavailable when the file cannot be opened, Corrupt when it is
// damaged. Close the stores when done.
func Open(ctx context.Context, url string, opts *Options) (*retrain.Stores, error) {
	path, err := sqldb.Path(url)
	if err != nil {
		return nil, fmt.Errorf("retrainsql: %w", err)
	}
	db, dialect, err := sqldb.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("retrainsql: %w", err)
	}
	stores, err := on(ctx, db, dialect, opts)
	if err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, fmt.Errorf("retrainsql: open %s: %w", url, err)
	}
	stores.Artifacts = artifact.Dir(path + ".artifacts")
	stores.Release = db.Close
	return stores, nil
}

// on returns the stores on an open database, migrated.
func on(ctx context.Context, db *sql.DB, dialect Dialect, opts *Options) (*retrain.Stores, error) {
	runs := trackingsql.New(db, dialect, opts)
	names := &sqlstore.Options{}
	if opts != nil {
		names.Prefix = opts.Prefix
	}
	models := registrysql.New(sqlstore.New(db, sqlstore.Dialect(dialect), names))
	predictions := servesql.New(db, dialect, opts)
	alerts := driftsql.New(db, dialect, opts)
	loops := New(db, dialect, opts)
	for _, s := range []interface{ Migrate(context.Context) error }{runs, models, predictions, alerts, loops} {
		if err := s.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	return &retrain.Stores{
		Tracking: runs, Registry: models, Serve: predictions, Drift: alerts, Retrain: loops,
		Engine: retraindbos.New(sqlstore.New(db, sqlstore.SQLite, nil), nil),
	}, nil
}
