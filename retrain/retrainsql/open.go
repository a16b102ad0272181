package retrainsql

import (
	"context"
	"fmt"

	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/internal/sqldb"
	old "github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// Options say where the tables are.
type Options = sqlstore.Options

// Open opens the database at the URL, brings all tables up to date and returns
// every store of the loop on it, and an engine. Artifacts lie beside the
// database file, in a folder of its name with .artifacts behind it. The URL is
// sqlite:PATH, see sqlstore.Open. Close the stores when done.
func Open(ctx context.Context, url string, opts *Options) (*retrain.Stores, error) {
	path, err := sqlstore.Path(url)
	if err != nil {
		return nil, fmt.Errorf("retrainsql: %w", err)
	}
	db, err := sqlstore.Open(ctx, url, opts)
	if err != nil {
		return nil, fmt.Errorf("retrainsql: %w", err)
	}
	stores, err := on(ctx, db)
	if err != nil {
		_ = db.Close() // the first error is the one to report
		return nil, fmt.Errorf("retrainsql: open %s: %w", url, err)
	}
	stores.Artifacts = artifact.Dir(path + ".artifacts")
	stores.Release = db.Close
	return stores, nil
}

// on returns the stores on an open database, migrated.
func on(ctx context.Context, db *sqlstore.DB) (*retrain.Stores, error) {
	before := &old.Options{Prefix: db.Prefix()}
	runs := trackingsql.New(db)
	models := registrysql.New(db)
	predictions := servesql.New(db.Pool(), sqldb.SQLite, before)
	alerts := driftsql.New(db)
	loops := New(db)
	for _, s := range []interface{ Migrate(context.Context) error }{runs, models, predictions, alerts, loops} {
		if err := s.Migrate(ctx); err != nil {
			return nil, err
		}
	}
	return &retrain.Stores{
		Tracking: runs, Registry: models, Serve: predictions, Drift: alerts, Retrain: loops,
		Engine: retraindbos.New(db, nil),
	}, nil
}
