package registrysql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

// The columns of a version are selected from m, its model, and v.
const (
	versionColumns = `model, number, seq, digest, key, state, run_id, data_digest, parent, code, data_from, data_to, rows, created_at`
	selectVersion  = `m.name, v.model, v.number, v.seq, v.digest, v.key, v.state, v.run_id, v.data_digest, v.parent, v.code, v.data_from, v.data_to, v.rows, v.created_at`
	fromVersion    = ` FROM {p}registry_model m JOIN {p}registry_version v ON v.model = m.id `
)

// versionDest is where the columns of selectVersion go.
func versionDest(v *registry.Version) []any {
	l := &v.Lineage
	return []any{&v.Model, &v.ModelID, &v.Number, &v.Seq, &v.Digest, &v.Key, &v.State, &l.RunID, &l.DataDigest, &l.Parent, &l.Code,
		sqlstore.Millis(&l.DataFrom), sqlstore.Millis(&l.DataTo), &l.Rows, sqlstore.Millis(&v.CreatedAt)}
}

func scanVersion(row sqlstore.Scanner) (registry.Version, error) {
	var v registry.Version
	err := row.Scan(versionDest(&v)...)
	return v, err
}

// CreateVersion implements registry.Store.
func (s *Store) CreateVersion(ctx context.Context, v registry.Version, e registry.Event) (stored registry.Version, created bool, err error) {
	err = s.change(ctx, v.Model, func(tx txn, id string) error {
		created = false // the function may run again
		stored, err = withKey(ctx, tx, v)
		if err != nil || stored.Number != 0 {
			return err
		}
		created = true
		stored = v
		stored.ModelID = id
		return insertVersion(ctx, tx, &stored, e)
	})
	if err != nil {
		return registry.Version{}, false, err
	}
	return stored, created, nil
}

// withKey returns the version that has v's key, the zero Version when none has.
func withKey(ctx context.Context, tx txn, v registry.Version) (registry.Version, error) {
	if v.Key == "" {
		return registry.Version{}, nil
	}
	old, err := scanVersion(tx.QueryRow(ctx, `SELECT `+selectVersion+fromVersion+`WHERE m.name = ? AND v.key = ? AND v.key <> ''`, v.Model, v.Key))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return registry.Version{}, nil
	case err == nil && old.Digest != v.Digest:
		return registry.Version{}, fault.Errorf(registry.ErrAlreadyExists, "the key %q belongs to %s, which has another digest: choose another key", v.Key, registry.VersionRef(v.Model, old.Number))
	}
	return old, err
}

// insertVersion gives v the next number. The model is locked: no other call
// can take the number, and a failed one leaves no gap.
func insertVersion(ctx context.Context, tx txn, v *registry.Version, e registry.Event) error {
	err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) + 1 FROM {p}registry_version WHERE model = ?`, v.ModelID).Scan(&v.Number)
	if err != nil {
		return err
	}
	e.Version, e.Digest, e.Content = v.Number, v.Digest, v.ContentHash()
	e, err = appendEvent(ctx, tx, v.ModelID, e)
	if err != nil {
		return err
	}
	v.Seq = e.Seq
	l := v.Lineage
	_, err = tx.Exec(ctx, `INSERT INTO {p}registry_version (`+versionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.ModelID, v.Number, v.Seq, v.Digest, v.Key, string(v.State), l.RunID, l.DataDigest, l.Parent, l.Code,
		sqlstore.NullMillis(l.DataFrom), sqlstore.NullMillis(l.DataTo), l.Rows, v.CreatedAt.UnixMilli())
	return err
}

// Version implements registry.Store.
func (s *Store) Version(ctx context.Context, model string, number int64) (v registry.Version, err error) {
	err = s.view(ctx, model, func(tx txn, id string) error {
		v, err = getVersion(ctx, tx, model, id, number)
		return err
	})
	return v, err
}

// getVersion returns the newest version for number 0.
func getVersion(ctx context.Context, tx txn, model, id string, number int64) (registry.Version, error) {
	query, args := `SELECT `+selectVersion+fromVersion+`WHERE m.id = ? AND v.number = ?`, []any{id, number}
	if number == 0 {
		query, args = `SELECT `+selectVersion+fromVersion+`WHERE m.id = ? ORDER BY v.number DESC LIMIT 1`, []any{id}
	}
	v, err := scanVersion(tx.QueryRow(ctx, query, args...))
	switch {
	case errors.Is(err, sql.ErrNoRows) && number == 0:
		return registry.Version{}, fault.Errorf(registry.ErrNotFound, "model %s has no version: not found", model)
	case errors.Is(err, sql.ErrNoRows):
		return registry.Version{}, fault.Errorf(registry.ErrNotFound, "version %s: not found", registry.VersionRef(model, number))
	}
	return v, err
}

// Versions implements registry.Store.
func (s *Store) Versions(ctx context.Context, model string, before int64, limit int) (versions []registry.Version, err error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	err = s.view(ctx, model, func(tx txn, id string) error {
		versions, err = list(ctx, tx, scanVersion, `SELECT `+selectVersion+fromVersion+`WHERE m.id = ? AND v.number < ? ORDER BY v.number DESC LIMIT ?`, id, before, limitOf(limit))
		return err
	})
	return versions, err
}

// SetState implements registry.Store.
func (s *Store) SetState(ctx context.Context, model string, number int64, from, to registry.State, e registry.Event) (changed bool, err error) {
	err = s.change(ctx, model, func(tx txn, id string) error {
		changed = false
		var state registry.State
		err := tx.QueryRow(ctx, `SELECT state FROM {p}registry_version WHERE model = ? AND number = ?`, id, number).Scan(&state)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fault.Errorf(registry.ErrNotFound, "version %s: not found", registry.VersionRef(model, number))
		case err != nil || state == to:
			return err
		case state != from:
			return fault.Errorf(registry.ErrConflict, "its state is %s, not %s: look again", state, from)
		}
		if _, err := tx.Exec(ctx, `UPDATE {p}registry_version SET state = ? WHERE model = ? AND number = ?`, string(to), id, number); err != nil {
			return err
		}
		changed = true
		_, err = appendEvent(ctx, tx, id, e)
		return err
	})
	return changed && err == nil, err
}
