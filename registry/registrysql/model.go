package registrysql

import (
	"context"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/sqlstore"
)

const (
	modelColumns = `id, name, created_at`
	selectModels = `SELECT ` + modelColumns + ` FROM {p}registry_model WHERE name > ? ORDER BY name LIMIT ?`
)

func scanModel(row sqlstore.Scanner) (registry.Model, error) {
	var m registry.Model
	err := row.Scan(&m.ID, &m.Name, sqlstore.Millis(&m.CreatedAt))
	return m, err
}

func alreadyExists(model string) error {
	return fault.Errorf(registry.ErrAlreadyExists, "model %s: already exists", model)
}

// CreateModel implements registry.Store.
func (s *Store) CreateModel(ctx context.Context, m registry.Model, e registry.Event) error {
	return s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO {p}registry_model (id, name, created_at, seq) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING`,
			m.ID, m.Name, m.CreatedAt.UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return alreadyExists(m.Name)
		}
		_, err = (&locked{tx: tx, id: m.ID, name: m.Name}).append(ctx, e)
		return err
	})
}

// RenameModel implements registry.Store.
func (s *Store) RenameModel(ctx context.Context, name, to string, e registry.Event) (renamed registry.Model, err error) {
	err = s.change(ctx, name, func(m *locked) error {
		if to != name {
			if err := m.rename(ctx, to, e); err != nil {
				return err
			}
		}
		renamed, err = scanModel(m.tx.QueryRow(ctx, `SELECT `+modelColumns+` FROM {p}registry_model WHERE id = ?`, m.id))
		return err
	})
	return renamed, err
}

func (m *locked) rename(ctx context.Context, to string, e registry.Event) error {
	n, err := m.tx.Exec(ctx, `UPDATE {p}registry_model SET name = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM {p}registry_model WHERE name = ?)`, to, m.id, to)
	if n == 0 && err == nil || fault.Kind(err) == registry.ErrAlreadyExists { // another transaction may be quicker
		return alreadyExists(to)
	}
	if err != nil {
		return err
	}
	_, err = m.append(ctx, e)
	return err
}

// Model implements registry.Store.
func (s *Store) Model(ctx context.Context, name string) (registry.Model, error) {
	m, err := scanModel(s.db.QueryRow(ctx, `SELECT `+modelColumns+` FROM {p}registry_model WHERE name = ?`, name))
	if err != nil {
		return registry.Model{}, orElse(err, modelNotFound(name))
	}
	return m, nil
}

// Models implements registry.Store.
func (s *Store) Models(ctx context.Context, after string, limit int) ([]registry.Model, error) {
	return sqlstore.Select(ctx, s.db, scanModel, selectModels, after, limitOf(limit))
}
