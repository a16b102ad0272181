package retrainsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
)

// archive implements retrain.Archive for the stores on one database.
type archive struct {
	db     *sqlstore.DB
	opts   *Options
	stores retrain.Stores // as they were opened
}

var _ retrain.Archive = (*archive)(nil)

// Backup implements retrain.Archive.
func (a *archive) Backup(ctx context.Context, s *retrain.Stores, dir string) (retrain.Backup, error) {
	done, err := a.backup(ctx, s, dir)
	if err != nil {
		return retrain.Backup{}, fmt.Errorf("retrainsql: back up into %s: %w", dir, err)
	}
	return done, nil
}

func (a *archive) backup(ctx context.Context, s *retrain.Stores, dir string) (done retrain.Backup, err error) {
	if s.Tracking != a.stores.Tracking || s.Registry != a.stores.Registry || s.Serve != a.stores.Serve ||
		s.Drift != a.stores.Drift || s.Retrain != a.stores.Retrain || s.Artifacts != a.stores.Artifacts {
		return done, fault.Errorf(fault.Unsupported, "one of the stores was replaced: back up those of retrainsql.Open, and that one by its own means")
	}
	if err := newFolder(dir); err != nil {
		return done, err
	}
	tx, err := a.db.Pool().BeginTx(ctx, snapshotOptions(a.db.Dialect()))
	if err != nil {
		return done, sqlstore.Fault(err)
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	w := &backupWriter{
		dir: dir, db: a.db.WithTx(tx), models: registrysql.New(a.db).WithTx(tx),
		artifacts: a.stores.Artifacts, sign: a.opts.sign,
	}
	if a.stores.OwnsArtifacts { // they are in the database
		w.artifacts = artifactsql.New(a.db).WithTx(tx)
	}
	done, err = w.write(ctx)
	var file *fs.PathError
	if errors.As(err, &file) && fault.Kind(err) == nil {
		err = fault.Errorf(fault.Unavailable, "the folder cannot be written: check its rights and its disk: %w", err)
	}
	return done, err
}

// snapshotOptions begin a transaction that sees the database at one moment.
func snapshotOptions(d sqlstore.Dialect) *sql.TxOptions {
	if d == sqlstore.PostgreSQL {
		return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	}
	return &sql.TxOptions{ReadOnly: true}
}

// newFolder makes the folder durably, or makes sure that nothing is in it.
func newFolder(dir string) error {
	if err := atomicfile.MkdirAll(atomicfile.OS(), dir); err != nil {
		return fault.Errorf(fault.Unavailable, "the folder cannot be made: %w", err)
	}
	entries, err := atomicfile.OS().ReadDir(dir)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "the folder cannot be read: %w", err)
	}
	if len(entries) > 0 {
		return fault.Errorf(fault.AlreadyExists, "the folder is not empty: choose a new one")
	}
	return nil
}
