package registrysql

import (
	"context"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/sqlstore"
)

const (
	insertColumns  = `model, number, seq, digest, key, state, run_id, data_digest, parent, code, data_from, data_to, rows, created_at`
	versionColumns = `v.model, v.number, v.seq, v.digest, v.key, v.state, v.run_id, v.data_digest, v.parent, v.code, v.data_from, v.data_to, v.rows, v.created_at`
	selectVersion  = `SELECT ` + versionColumns + ` FROM {p}registry_version v WHERE `

	selectNumber   = selectVersion + `model = ` + modelID + ` AND number = ?`
	selectNewest   = selectVersion + `model = ` + modelID + ` ORDER BY number DESC LIMIT 1`
	selectVersions = selectVersion + `model = ` + modelID + ` AND number < ? ORDER BY number DESC LIMIT ?`
)

// versionDest is where the columns of a version go.
func versionDest(v *registry.Version) []any {
	l := &v.Lineage
	return []any{&v.ModelID, &v.Number, &v.Seq, &v.Digest, &v.Key, &v.State, &l.RunID, &l.DataDigest, &l.Parent, &l.Code,
		sqlstore.Millis(&l.DataFrom), sqlstore.Millis(&l.DataTo), &l.Rows, sqlstore.Millis(&v.CreatedAt)}
}

// scanVersion reads a version of the model of that name.
func scanVersion(model string) func(sqlstore.Scanner) (registry.Version, error) {
	return func(row sqlstore.Scanner) (registry.Version, error) {
		v := registry.Version{Model: model}
		err := row.Scan(versionDest(&v)...)
		return v, err
	}
}

// CreateVersion implements registry.Store.
func (s *Store) CreateVersion(ctx context.Context, v registry.Version, e registry.Event) (stored registry.Version, created bool, err error) {
	err = s.change(ctx, v.Model, func(m *locked) error {
		stored, err = m.withKey(ctx, v)
		created = err == nil && stored.Number == 0
		if !created {
			return err
		}
		stored = v
		return m.insertVersion(ctx, &stored, e)
	})
	if err != nil {
		return registry.Version{}, false, err
	}
	return stored, created, nil
}

// withKey returns the version that has v's key, the zero Version when none has.
func (m *locked) withKey(ctx context.Context, v registry.Version) (registry.Version, error) {
	if v.Key == "" {
		return registry.Version{}, nil
	}
	old, err := scanVersion(m.name)(m.tx.QueryRow(ctx, selectVersion+`model = ? AND key = ? AND key <> ''`, m.id, v.Key))
	switch {
	case err != nil:
		return registry.Version{}, orElse(err, nil)
	case old.Digest != v.Digest:
		return registry.Version{}, fault.Errorf(registry.ErrAlreadyExists, "the key %q belongs to %s, which has another digest: choose another key", v.Key, registry.VersionRef(v.Model, old.Number))
	}
	return old, nil
}

// insertVersion gives v the next number. The model is locked: no other call
// can take the number, and a failed one leaves no gap.
func (m *locked) insertVersion(ctx context.Context, v *registry.Version, e registry.Event) error {
	v.ModelID = m.id
	if err := m.tx.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) + 1 FROM {p}registry_version WHERE model = ?`, m.id).Scan(&v.Number); err != nil {
		return err
	}
	e.Version, e.Digest, e.Content = v.Number, v.Digest, v.ContentHash()
	e, err := m.append(ctx, e)
	if err != nil {
		return err
	}
	v.Seq = e.Seq
	l := v.Lineage
	_, err = m.tx.Exec(ctx, `INSERT INTO {p}registry_version (`+insertColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.ModelID, v.Number, v.Seq, v.Digest, v.Key, string(v.State), l.RunID, l.DataDigest, l.Parent, l.Code,
		sqlstore.NullMillis(l.DataFrom), sqlstore.NullMillis(l.DataTo), l.Rows, v.CreatedAt.UnixMilli())
	return err
}

func versionNotFound(model string, number int64) error {
	return fault.Errorf(registry.ErrNotFound, "version %s: not found", registry.VersionRef(model, number))
}

// Version implements registry.Store.
func (s *Store) Version(ctx context.Context, model string, number int64) (registry.Version, error) {
	query, args := selectNumber, []any{model, number}
	missing := versionNotFound(model, number)
	if number == 0 {
		query, args = selectNewest, []any{model}
		missing = fault.Errorf(registry.ErrNotFound, "model %s has no version: not found", model)
	}
	v, err := scanVersion(model)(s.db.QueryRow(ctx, query, args...))
	if err != nil {
		return registry.Version{}, s.missing(ctx, err, model, missing)
	}
	return v, nil
}

// Versions implements registry.Store.
func (s *Store) Versions(ctx context.Context, model string, before int64, limit int) ([]registry.Version, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return page(ctx, s, model, scanVersion(model), selectVersions, model, before, limitOf(limit))
}

// SetState implements registry.Store.
func (s *Store) SetState(ctx context.Context, model string, number int64, from, to registry.State, e registry.Event) (changed bool, err error) {
	err = s.change(ctx, model, func(m *locked) error {
		changed = false
		var state registry.State
		err := m.tx.QueryRow(ctx, `SELECT state FROM {p}registry_version WHERE model = ? AND number = ?`, m.id, number).Scan(&state)
		switch {
		case err != nil:
			return orElse(err, versionNotFound(model, number))
		case state == to:
			return nil
		case state != from:
			return fault.Errorf(registry.ErrConflict, "its state is %s, not %s: look again", state, from)
		}
		if _, err := m.tx.Exec(ctx, `UPDATE {p}registry_version SET state = ? WHERE model = ? AND number = ?`, string(to), m.id, number); err != nil {
			return err
		}
		changed = true
		_, err = m.append(ctx, e)
		return err
	})
	return changed && err == nil, err
}
