package artifactsql

import (
	"context"
	"errors"
	"time"

	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
)

// Delete implements artifact.Store.
func (s *Store) Delete(ctx context.Context, digest string) error {
	_, err := s.remove(ctx, digest, nil)
	return err
}

// Expire implements artifact.Store.
func (s *Store) Expire(ctx context.Context, digest string, before time.Time) (bool, error) {
	return s.remove(ctx, digest, &before)
}

// remove takes the digest from the bytes, if it was not put since before.
func (s *Store) remove(ctx context.Context, digest string, before *time.Time) (removed bool, err error) {
	if err := blob.Check(ctx, digest); err != nil {
		return false, err
	}
	err = s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		removed = false
		b, err := lockBlob(ctx, tx, digest)
		if errors.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil || before != nil && !b.info.ModTime.Before(blob.Millis(*before)) {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM {p}artifact_blob WHERE digest = ?`, digest); err != nil {
			return err
		}
		removed = true
		return retire(ctx, tx, b.upload)
	})
	return removed && err == nil, err
}

// Sweep removes the bytes that no digest names and whose time is over, and
// returns of how many uploads. Put does so every hour. Errors: Unavailable.
func (s *Store) Sweep(ctx context.Context) (removed int, err error) {
	const page = 100
	_, err = s.db.Exec(ctx, `UPDATE {p}artifact_upload SET expires_at = 0 WHERE expires_at > 0 AND expires_at < ?`, time.Now().UnixMilli())
	for err == nil {
		var ids []string
		ids, err = sqlstore.Select(ctx, s.db, scanID, `SELECT id FROM {p}artifact_upload WHERE expires_at = 0 LIMIT ?`, page)
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			if err = removeUpload(ctx, s.db, id); err != nil {
				break
			}
			removed++
		}
	}
	return removed, err
}

func scanID(row sqlstore.Scanner) (id string, err error) {
	err = row.Scan(&id)
	return id, err
}

// sweepNow sweeps if it is time. It frees space and no more, so that a Put does
// not fail for it; the next one tries again.
func (s *Store) sweepNow(ctx context.Context) {
	last, now := s.swept.Load(), time.Now().UnixMilli()
	if s.inTx || now-last < sweepEvery.Milliseconds() || !s.swept.CompareAndSwap(last, now) {
		return
	}
	if _, err := s.Sweep(ctx); err != nil {
		s.swept.Store(last)
	}
}

// removeUpload removes the chunks of an upload that nobody may go on with, a few
// in each transaction, and then its row.
func removeUpload(ctx context.Context, db *sqlstore.DB, id string) error {
	const few = 32
	for number := int64(few); ; number += few {
		if _, err := db.Exec(ctx, `DELETE FROM {p}artifact_chunk WHERE upload = ? AND number < ?`, id, number); err != nil {
			return err
		}
		var left int64
		if err := db.QueryRow(ctx, `SELECT count(*) FROM {p}artifact_chunk WHERE upload = ?`, id).Scan(&left); err != nil {
			return err
		}
		if left == 0 {
			_, err := db.Exec(ctx, `DELETE FROM {p}artifact_upload WHERE id = ? AND expires_at = 0`, id)
			return err
		}
	}
}
