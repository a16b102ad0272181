package registrysql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

// SetAlias implements registry.Store.
func (s *Store) SetAlias(ctx context.Context, model, alias string, from, to int64, at time.Time, e registry.Event) error {
	return s.change(ctx, model, func(tx *sql.Tx) error {
		if to != 0 {
			if _, err := s.version(ctx, tx, model, to); err != nil {
				return err
			}
		}
		now, err := s.alias(ctx, tx, model, alias)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		switch { // now.Version is 0 when there is none
		case now.Version == to:
			return nil
		case now.Version != from:
			return fault.Errorf(registry.ErrConflict, "it points at version %d, not %d (0: none): look again", now.Version, from)
		case to == 0:
			_, err = tx.ExecContext(ctx, s.db.SQL(`DELETE FROM {p}registry_alias WHERE model = ? AND name = ?`), model, alias)
		default:
			_, err = tx.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}registry_alias (model, name, version, moved_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (model, name) DO UPDATE SET version = excluded.version, moved_at = excluded.moved_at`), model, alias, to, at.UnixMilli())
		}
		if err != nil {
			return err
		}
		return s.append(ctx, tx, e)
	})
}

// Alias implements registry.Store.
func (s *Store) Alias(ctx context.Context, model, alias string) (a registry.Alias, err error) {
	err = s.view(ctx, model, func(tx *sql.Tx) error {
		a, err = s.alias(ctx, tx, model, alias)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.Errorf(registry.ErrNotFound, "alias %s@%s: not found", model, alias)
		}
		return err
	})
	return a, err
}

// alias returns the zero Alias and sql.ErrNoRows when there is none.
func (s *Store) alias(ctx context.Context, tx *sql.Tx, model, alias string) (registry.Alias, error) {
	a, err := scanAlias(tx.QueryRowContext(ctx, s.db.SQL(`SELECT model, name, version, moved_at FROM {p}registry_alias WHERE model = ? AND name = ?`), model, alias))
	if err != nil {
		return registry.Alias{}, err
	}
	return a, nil
}

func scanAlias(row sqlstore.Scanner) (registry.Alias, error) {
	var a registry.Alias
	err := row.Scan(&a.Model, &a.Name, &a.Version, sqlstore.Millis(&a.MovedAt))
	return a, err
}

// Aliases implements registry.Store.
func (s *Store) Aliases(ctx context.Context, model string) (aliases []registry.Alias, err error) {
	err = s.view(ctx, model, func(tx *sql.Tx) error {
		aliases, err = sqlstore.Select(ctx, tx, scanAlias, s.db.SQL(`SELECT model, name, version, moved_at FROM {p}registry_alias WHERE model = ? ORDER BY name`), model)
		return err
	})
	return aliases, err
}
