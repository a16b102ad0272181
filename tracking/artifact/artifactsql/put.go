package artifactsql

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// Put implements artifact.Store. No transaction is open while r is read.
func (s *Store) Put(ctx context.Context, r io.Reader, opts *artifact.PutOptions) (string, int64, error) {
	var want string
	if opts != nil && opts.Digest != "" {
		want = opts.Digest
		if err := blob.CheckDigest(want); err != nil {
			return "", 0, err
		}
	}
	s.sweepNow(ctx)
	u := &upload{ctx: ctx, db: s.db, id: id.New(), chunk: make([]byte, 0, chunkSize)}
	digest, size, err := blob.Copy(ctx, u, r, func(err error) error { return err })
	if err == nil {
		err = blob.Expect(want, digest)
	}
	if err == nil {
		err = u.publish(ctx, digest, size)
	}
	if err != nil {
		u.discard(ctx)
		return "", 0, err
	}
	return digest, size, nil
}

// upload is what one Put has staged. It is for one goroutine at a time.
type upload struct {
	ctx    context.Context // of the one Put that it belongs to
	db     *sqlstore.DB
	id     string
	chunk  []byte // the last one, not stored yet
	number int64  // of chunk
}

// Write stages a chunk when it is full and not the last: a blob of one chunk
// takes one transaction.
func (u *upload) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if len(u.chunk) == chunkSize {
			if err := u.stage(u.ctx); err != nil {
				return written, err
			}
		}
		n := min(len(p), chunkSize-len(u.chunk))
		u.chunk = append(u.chunk, p[:n]...)
		p = p[n:]
		written += n
	}
	return written, nil
}

func (u *upload) stage(ctx context.Context) error {
	err := u.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		return u.store(ctx, tx, time.Now().Add(staging).UnixMilli())
	})
	if err == nil {
		u.number++
		u.chunk = u.chunk[:0]
	}
	return err
}

// store stores the chunk, and puts off the end of the upload; nil: for good.
func (u *upload) store(ctx context.Context, tx *sqlstore.Tx, expires any) error {
	if u.number == 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO {p}artifact_upload (id, expires_at) VALUES (?, ?)`, u.id, expires); err != nil {
			return err
		}
	} else {
		n, err := tx.Exec(ctx, `UPDATE {p}artifact_upload SET expires_at = ? WHERE id = ? AND expires_at > 0`, expires, u.id)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.Errorf(fault.Unavailable, "no byte came for %v, and what was staged has been removed: put it again", staging)
		}
	}
	if len(u.chunk) == 0 { // an empty blob has none
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO {p}artifact_chunk (upload, number, content) VALUES (?, ?, ?)`, u.id, u.number, u.chunk)
	return err
}

// publish gives the upload its digest.
func (u *upload) publish(ctx context.Context, digest string, size int64) error {
	return u.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		if err := u.store(ctx, tx, nil); err != nil {
			return err
		}
		const attempts = 10
		for range attempts {
			if done, err := u.name(ctx, tx, digest, size); done || err != nil {
				return err
			}
		}
		return fault.Errorf(fault.Unavailable, "blob %s was put and deleted by others %d times meanwhile: try again", digest, attempts)
	})
}

// name makes the blob's row, or gives it these bytes in place of the same, which
// mends damaged ones. It reports false when the row went away meanwhile.
func (u *upload) name(ctx context.Context, tx *sqlstore.Tx, digest string, size int64) (bool, error) {
	now := time.Now().UnixMilli()
	n, err := tx.Exec(ctx, `INSERT INTO {p}artifact_blob (digest, upload, size, modified_at) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
		digest, u.id, size, now)
	if n == 1 || err != nil {
		return true, err
	}
	old, err := lockBlob(ctx, tx, digest)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE {p}artifact_blob SET upload = ?, size = ?, modified_at = ? WHERE digest = ?`, u.id, size, now, digest)
	if err != nil {
		return false, err
	}
	return true, retire(ctx, tx, old.upload)
}

// discard removes what was staged. What it cannot remove now is swept later.
func (u *upload) discard(ctx context.Context) {
	const patience = 5 * time.Second
	if u.number == 0 {
		return // nothing is
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := u.db.Exec(ctx, `UPDATE {p}artifact_upload SET expires_at = 0 WHERE id = ? AND expires_at > 0`, u.id); err == nil {
		_ = removeUpload(ctx, u.db, u.id)
	}
}

// stored is a row of blobs.
type stored struct {
	upload string
	info   artifact.Info
}

// lockBlob reads a blob's row, which nobody else changes until tx ends. Errors:
// NotFound.
func lockBlob(ctx context.Context, tx *sqlstore.Tx, digest string) (stored, error) {
	return readBlob(ctx, tx, digest, tx.ForUpdate())
}

func readBlob(ctx context.Context, q sqlstore.Querier, digest, lock string) (stored, error) {
	b := stored{info: artifact.Info{Digest: digest}}
	row := q.QueryRow(ctx, `SELECT upload, size, modified_at FROM {p}artifact_blob WHERE digest = ?`+lock, digest)
	err := row.Scan(&b.upload, &b.info.Size, sqlstore.Millis(&b.info.ModTime))
	if errors.Is(err, fault.NotFound) {
		err = fault.Errorf(fault.NotFound, "blob %s in the database: not found", digest)
	}
	return b, err
}

// retire leaves the bytes that lost their digest to those who read them.
func retire(ctx context.Context, tx *sqlstore.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE {p}artifact_upload SET expires_at = ? WHERE id = ?`, time.Now().Add(reading).UnixMilli(), id)
	return err
}
