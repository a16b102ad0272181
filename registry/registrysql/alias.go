package registrysql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

// SetAlias implements registry.Store.
func (s *Store) SetAlias(ctx context.Context, m registry.AliasMove) (now registry.Alias, moved bool, err error) {
	err = s.change(ctx, m.Model, func(tx txn, id string) error {
		var to registry.Version
		if m.To != 0 {
			if to, err = getVersion(ctx, tx, m.Model, id, m.To); err != nil {
				return err
			}
		}
		now, err = lastMove(ctx, tx, id, m.Alias)
		if err != nil {
			return err
		}
		now.Model, now.Name = m.Model, m.Alias
		moved, err = m.Decide(now, to)
		if err != nil || !moved {
			return err
		}
		return moveAlias(ctx, tx, id, m, &now)
	})
	if err != nil {
		return registry.Alias{}, false, err
	}
	return now, moved, nil
}

// lastMove returns where the alias points; Version is 0 when it was deleted, and
// Seq too when it never existed.
func lastMove(ctx context.Context, tx txn, id, alias string) (registry.Alias, error) {
	var a registry.Alias
	err := tx.QueryRow(ctx, `SELECT COALESCE(version, 0), seq, moved_at FROM {p}registry_alias WHERE model = ? AND name = ?`, id, alias).Scan(&a.Version, &a.Seq, sqlstore.Millis(&a.MovedAt))
	if errors.Is(err, sql.ErrNoRows) {
		return registry.Alias{}, nil
	}
	return a, err
}

func moveAlias(ctx context.Context, tx txn, id string, m registry.AliasMove, now *registry.Alias) error {
	e, err := appendEvent(ctx, tx, id, m.Event)
	if err != nil {
		return err
	}
	now.Version, now.Seq, now.MovedAt = m.To, e.Seq, e.Time
	_, err = tx.Exec(ctx, `INSERT INTO {p}registry_alias (model, name, version, seq, moved_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (model, name) DO UPDATE SET version = excluded.version, seq = excluded.seq, moved_at = excluded.moved_at`,
		id, m.Alias, sql.NullInt64{Int64: m.To, Valid: m.To != 0}, e.Seq, e.Time.UnixMilli())
	return err
}

// Alias implements registry.Store.
func (s *Store) Alias(ctx context.Context, model, alias string) (a registry.Alias, v registry.Version, err error) {
	err = s.view(ctx, model, func(tx txn, id string) error {
		a = registry.Alias{Model: model, Name: alias}
		dest := append([]any{&a.Version, &a.Seq, sqlstore.Millis(&a.MovedAt)}, versionDest(&v)...)
		err := tx.QueryRow(ctx, `SELECT a.version, a.seq, a.moved_at, `+selectVersion+fromVersion+`
			JOIN {p}registry_alias a ON a.model = m.id AND a.version = v.number WHERE m.id = ? AND a.name = ?`, id, alias).Scan(dest...)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.Errorf(registry.ErrNotFound, "alias %s@%s: not found", model, alias)
		}
		return err
	})
	if err != nil {
		return registry.Alias{}, registry.Version{}, err
	}
	return a, v, nil
}

// Aliases implements registry.Store.
func (s *Store) Aliases(ctx context.Context, model, after string, limit int) (aliases []registry.Alias, err error) {
	err = s.view(ctx, model, func(tx txn, id string) error {
		scan := func(row sqlstore.Scanner) (registry.Alias, error) {
			a := registry.Alias{Model: model}
			err := row.Scan(&a.Name, &a.Version, &a.Seq, sqlstore.Millis(&a.MovedAt))
			return a, err
		}
		aliases, err = list(ctx, tx, scan, `SELECT name, version, seq, moved_at FROM {p}registry_alias
			WHERE model = ? AND name > ? AND version IS NOT NULL ORDER BY name LIMIT ?`, id, after, limitOf(limit))
		return err
	})
	return aliases, err
}
