package registrysql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

// CreateModel implements registry.Store.
func (s *Store) CreateModel(ctx context.Context, m registry.Model, e registry.Event) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}registry_model (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING`), m.Name, m.CreatedAt.UnixMilli())
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.Errorf(registry.ErrAlreadyExists, "model %s: already exists", m.Name)
		}
		return s.append(ctx, tx, e)
	})
}

// Models implements registry.Store.
func (s *Store) Models(ctx context.Context) (models []registry.Model, err error) {
	err = s.db.ReadTx(ctx, func(tx *sql.Tx) error {
		models, err = sqlstore.Select(ctx, tx, func(row sqlstore.Scanner) (registry.Model, error) {
			var m registry.Model
			err := row.Scan(&m.Name, sqlstore.Millis(&m.CreatedAt))
			return m, err
		}, s.db.SQL(`SELECT name, created_at FROM {p}registry_model ORDER BY name`))
		return err
	})
	return models, err
}

const versionColumns = `model, number, digest, key, state, run_id, data_digest, parent, code, data_from, data_to, rows, created_at`

func scanVersion(row sqlstore.Scanner) (registry.Version, error) {
	var v registry.Version
	err := row.Scan(&v.Model, &v.Number, &v.Digest, &v.Key, &v.State,
		&v.Lineage.RunID, &v.Lineage.DataDigest, &v.Lineage.Parent, &v.Lineage.Code,
		sqlstore.Millis(&v.Lineage.DataFrom), sqlstore.Millis(&v.Lineage.DataTo), &v.Lineage.Rows, sqlstore.Millis(&v.CreatedAt))
	return v, err
}

// CreateVersion implements registry.Store.
func (s *Store) CreateVersion(ctx context.Context, v registry.Version, e registry.Event) (registry.Version, error) {
	err := s.change(ctx, v.Model, func(tx *sql.Tx) error {
		if v.Key != "" {
			old, err := scanVersion(tx.QueryRowContext(ctx, s.db.SQL(`SELECT `+versionColumns+` FROM {p}registry_version WHERE model = ? AND key = ?`), v.Model, v.Key))
			switch {
			case err == nil && old.Digest != v.Digest:
				return fault.Errorf(registry.ErrAlreadyExists, "the key %q belongs to %s, which has another digest: choose another key", v.Key, registry.VersionRef(v.Model, old.Number))
			case err == nil:
				v = old
				return nil
			case !errors.Is(err, sql.ErrNoRows):
				return err
			}
		}
		return s.insertVersion(ctx, tx, &v, e)
	})
	if err != nil {
		return registry.Version{}, err
	}
	return v, nil
}

// insertVersion gives v the next number. The model is locked: no other call
// can take the number, and a failed one leaves no gap.
func (s *Store) insertVersion(ctx context.Context, tx *sql.Tx, v *registry.Version, e registry.Event) error {
	err := tx.QueryRowContext(ctx, s.db.SQL(`SELECT COALESCE(MAX(number), 0) + 1 FROM {p}registry_version WHERE model = ?`), v.Model).Scan(&v.Number)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}registry_version (`+versionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
		v.Model, v.Number, v.Digest, v.Key, v.State, v.Lineage.RunID, v.Lineage.DataDigest, v.Lineage.Parent, v.Lineage.Code,
		sqlstore.NullMillis(v.Lineage.DataFrom), sqlstore.NullMillis(v.Lineage.DataTo), v.Lineage.Rows, v.CreatedAt.UnixMilli())
	if err != nil {
		return err
	}
	e.Version = v.Number
	return s.append(ctx, tx, e)
}

// Version implements registry.Store.
func (s *Store) Version(ctx context.Context, model string, number int64) (v registry.Version, err error) {
	err = s.view(ctx, model, func(tx *sql.Tx) error {
		v, err = s.version(ctx, tx, model, number)
		return err
	})
	return v, err
}

func (s *Store) version(ctx context.Context, tx *sql.Tx, model string, number int64) (registry.Version, error) {
	v, err := scanVersion(tx.QueryRowContext(ctx, s.db.SQL(`SELECT `+versionColumns+` FROM {p}registry_version WHERE model = ? AND number = ?`), model, number))
	if errors.Is(err, sql.ErrNoRows) {
		return registry.Version{}, fault.Errorf(registry.ErrNotFound, "version %s: not found", registry.VersionRef(model, number))
	}
	return v, err
}

// Versions implements registry.Store.
func (s *Store) Versions(ctx context.Context, model string) (versions []registry.Version, err error) {
	err = s.view(ctx, model, func(tx *sql.Tx) error {
		versions, err = sqlstore.Select(ctx, tx, scanVersion, s.db.SQL(`SELECT `+versionColumns+` FROM {p}registry_version WHERE model = ? ORDER BY number DESC`), model)
		return err
	})
	return versions, err
}

// SetState implements registry.Store.
func (s *Store) SetState(ctx context.Context, model string, number int64, from, to registry.State, e registry.Event) error {
	return s.change(ctx, model, func(tx *sql.Tx) error {
		v, err := s.version(ctx, tx, model, number)
		switch {
		case err != nil:
			return err
		case v.State == to:
			return nil
		case v.State != from:
			return fault.Errorf(registry.ErrConflict, "its state is %s, not %s: look again", v.State, from)
		}
		if _, err := tx.ExecContext(ctx, s.db.SQL(`UPDATE {p}registry_version SET state = ? WHERE model = ? AND number = ?`), to, model, number); err != nil {
			return err
		}
		return s.append(ctx, tx, e)
	})
}
