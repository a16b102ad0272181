package retrainsql

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
)

// Restore brings a backup into an empty database, SQLite or PostgreSQL, whichever
// the backup was taken of: its rows in one transaction, and its artifacts where
// opts say. All of it is verified before it counts: the backup's files and every
// artifact by their digests, the tables against what was backed up, the audit
// trail of every model against its head. A restore that was cut short leaves no
// rows, and can be begun anew.
//
// Nobody holds a lease afterwards, whose tokens go on; a fit that was under way
// begins anew.
//
// Errors: Corrupt for a backup that was cut short, damaged or, by Options.Trusted,
// signed by somebody else; Unsupported for one of a newer release; AlreadyExists
// when the database has rows; those of Open.
func Restore(ctx context.Context, url, dir string, opts *Options) (retrain.Backup, error) {
	return restored(dir, func() (retrain.Backup, error) {
		db, err := sqlstore.Open(ctx, url, opts.tables())
		if err != nil {
			return retrain.Backup{}, err
		}
		done, err := restore(ctx, db, dir, opts)
		return done, errors.Join(err, db.Close())
	})
}

// RestoreDB is Restore into the service's own pool, which it leaves open; see
// OpenDB.
func RestoreDB(ctx context.Context, pool *sql.DB, dialect sqlstore.Dialect, dir string, opts *Options) (retrain.Backup, error) {
	return restored(dir, func() (retrain.Backup, error) {
		db := sqlstore.New(pool, dialect, opts.tables())
		done, err := restore(ctx, db, dir, opts)
		return done, errors.Join(err, db.Close())
	})
}

func restored(dir string, do func() (retrain.Backup, error)) (retrain.Backup, error) {
	done, err := do()
	if err != nil {
		return retrain.Backup{}, fmt.Errorf("retrainsql: restore %s: %w", dir, err)
	}
	return done, nil
}

func restore(ctx context.Context, db *sqlstore.DB, dir string, opts *Options) (done retrain.Backup, err error) {
	m, err := readManifest(dir)
	if err != nil {
		return done, err
	}
	if err := m.trust(opts.trusted()); err != nil {
		return done, err
	}
	if err := m.verifyRows(ctx, dir); err != nil {
		return done, err
	}
	if err := migrateTo(ctx, db, schemas(), m.Schemas); err != nil {
		return done, err
	}
	if opts == nil || opts.Artifacts == nil {
		if err := db.Migrate(ctx, artifactsql.Schema()); err != nil {
			return done, err
		}
	}
	r := &restorer{dir: dir, m: m, db: db, artifacts: opts.artifactsIn(db)}
	if err := r.run(ctx); err != nil {
		return done, err
	}
	return m.report(), migrate(ctx, db, schemas())
}

// readManifest reads and checks the manifest.
func readManifest(dir string) (m manifest, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return m, fault.Errorf(fault.NotFound, "there is no such folder")
		}
		return m, fault.Errorf(fault.Corrupt, "%s is missing: it is written last, so the backup was cut short: restore another one", manifestFile)
	}
	if err != nil {
		return m, fault.Errorf(fault.Unavailable, "%w", err)
	}
	var head struct{ Format int }
	if err := json.Unmarshal(raw, &head); err != nil {
		return m, fault.Errorf(fault.Corrupt, "%s: %w", manifestFile, err)
	}
	switch {
	case head.Format > backupFormat:
		return m, fault.Errorf(fault.Unsupported, "the backup has format %d, this program reads up to %d: run the newer mlloop", head.Format, backupFormat)
	case head.Format < 1:
		return m, fault.Errorf(fault.Corrupt, "%s: format %d is unknown", manifestFile, head.Format)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fault.Errorf(fault.Corrupt, "%s: %w", manifestFile, err)
	}
	return m, nil
}

// trust checks the heads' signatures where a key is given.
func (m manifest) trust(key ed25519.PublicKey) error {
	if key == nil {
		return nil
	}
	for _, h := range m.Heads {
		if err := h.Verify(key); err != nil {
			return err
		}
	}
	return nil
}

// verifyRows compares the file of rows with its digest.
func (m manifest) verifyRows(ctx context.Context, dir string) error {
	f, err := openRows(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // opened for reading
	sum := sha256.New()
	if _, err := io.Copy(sum, readerOf(ctx, f)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != m.Rows {
		return fault.Errorf(fault.Corrupt, "%s is damaged: its digest is %s, and was %s: restore another backup", rowsFile, got, m.Rows)
	}
	return nil
}

func openRows(dir string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, rowsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Errorf(fault.Corrupt, "%s is missing: restore another backup", rowsFile)
	}
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "%w", err)
	}
	return f, nil
}

// readerOf is r until ctx is done.
func readerOf(ctx context.Context, r io.Reader) io.Reader { return untilDone{ctx, r} }

type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
