package registrysql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

const modelColumns = `id, name, created_at`

func scanModel(row sqlstore.Scanner) (registry.Model, error) {
	var m registry.Model
	err := row.Scan(&m.ID, &m.Name, sqlstore.Millis(&m.CreatedAt))
	return m, err
}

func getModel(ctx context.Context, tx txn, name string) (registry.Model, error) {
	m, err := scanModel(tx.QueryRow(ctx, `SELECT `+modelColumns+` FROM {p}registry_model WHERE name = ?`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return registry.Model{}, modelNotFound(name)
	}
	return m, err
}

func alreadyExists(model string) error {
	return fault.Errorf(registry.ErrAlreadyExists, "model %s: already exists", model)
}

// CreateModel implements registry.Store.
func (s *Store) CreateModel(ctx context.Context, m registry.Model, e registry.Event) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		t := txn{tx, s.db}
		n, err := t.Exec(ctx, `INSERT INTO {p}registry_model (`+modelColumns+`) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, m.ID, m.Name, m.CreatedAt.UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return alreadyExists(m.Name)
		}
		_, err = appendEvent(ctx, t, m.ID, e)
		return err
	})
}

// RenameModel implements registry.Store.
func (s *Store) RenameModel(ctx context.Context, name, to string, e registry.Event) (m registry.Model, err error) {
	err = s.change(ctx, name, func(tx txn, id string) error {
		if to != name {
			if err := rename(ctx, tx, id, to, e); err != nil {
				return err
			}
		}
		m, err = getModel(ctx, tx, to)
		return err
	})
	return m, err
}

func rename(ctx context.Context, tx txn, id, to string, e registry.Event) error {
	n, err := tx.Exec(ctx, `UPDATE {p}registry_model SET name = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM {p}registry_model WHERE name = ?)`, to, id, to)
	if err != nil {
		return err
	}
	if n == 0 {
		return alreadyExists(to)
	}
	_, err = appendEvent(ctx, tx, id, e)
	return err
}

// Model implements registry.Store.
func (s *Store) Model(ctx context.Context, name string) (m registry.Model, err error) {
	err = s.db.ReadTx(ctx, func(tx *sql.Tx) error {
		m, err = getModel(ctx, txn{tx, s.db}, name)
		return err
	})
	return m, err
}

// Models implements registry.Store.
func (s *Store) Models(ctx context.Context, after string, limit int) (models []registry.Model, err error) {
	err = s.db.ReadTx(ctx, func(tx *sql.Tx) error {
		models, err = list(ctx, txn{tx, s.db}, scanModel, `SELECT `+modelColumns+` FROM {p}registry_model WHERE name > ? ORDER BY name LIMIT ?`, after, limitOf(limit))
		return err
	})
	return models, err
}
