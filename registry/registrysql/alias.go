package registrysql

import (
	"context"
	"database/sql"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/sqlstore"
)

// SetAlias implements registry.Store.
func (s *Store) SetAlias(ctx context.Context, move registry.AliasMove) (now registry.Alias, moved bool, err error) {
	err = s.change(ctx, move.Model, func(m *locked) error {
		var to registry.Version
		if move.To != 0 {
			to, err = scanVersion(m.name)(m.tx.QueryRow(ctx, selectVersion+`model = ? AND number = ?`, m.id, move.To))
			if err != nil {
				return orElse(err, versionNotFound(m.name, move.To))
			}
		}
		if now, err = m.lastMove(ctx, move.Alias); err != nil {
			return err
		}
		if moved, err = move.Decide(now, to); err != nil || !moved {
			return err
		}
		return m.moveAlias(ctx, move, &now)
	})
	if err != nil {
		return registry.Alias{}, false, err
	}
	return now, moved, nil
}

// lastMove returns where the alias points; Version is 0 when it was deleted, and
// Seq too when it never existed.
func (m *locked) lastMove(ctx context.Context, alias string) (registry.Alias, error) {
	a := registry.Alias{Model: m.name, Name: alias}
	err := m.tx.QueryRow(ctx, `SELECT COALESCE(version, 0), seq, moved_at FROM {p}registry_alias WHERE model = ? AND name = ?`, m.id, alias).Scan(&a.Version, &a.Seq, sqlstore.Millis(&a.MovedAt))
	return a, orElse(err, nil)
}

func (m *locked) moveAlias(ctx context.Context, move registry.AliasMove, now *registry.Alias) error {
	e, err := m.append(ctx, move.Event)
	if err != nil {
		return err
	}
	now.Version, now.Seq, now.MovedAt = move.To, e.Seq, e.Time
	_, err = m.tx.Exec(ctx, `INSERT INTO {p}registry_alias (model, name, version, seq, moved_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (model, name) DO UPDATE SET version = excluded.version, seq = excluded.seq, moved_at = excluded.moved_at`,
		m.id, move.Alias, sql.NullInt64{Int64: move.To, Valid: move.To != 0}, e.Seq, e.Time.UnixMilli())
	return err
}

// selectAlias is one read of an alias and its version, through their keys.
const selectAlias = `SELECT a.version, a.seq, a.moved_at, ` + versionColumns + `
	FROM {p}registry_alias a JOIN {p}registry_version v ON v.model = a.model AND v.number = a.version
	WHERE a.model = ` + modelID + ` AND a.name = ?`

const selectAliases = `SELECT name, version, seq, moved_at FROM {p}registry_alias
	WHERE model = ` + modelID + ` AND name > ? AND version IS NOT NULL ORDER BY name LIMIT ?`

// Alias implements registry.Store.
func (s *Store) Alias(ctx context.Context, model, alias string) (registry.Alias, registry.Version, error) {
	a, v := registry.Alias{Model: model, Name: alias}, registry.Version{Model: model}
	dest := append([]any{&a.Version, &a.Seq, sqlstore.Millis(&a.MovedAt)}, versionDest(&v)...)
	if err := s.db.QueryRow(ctx, selectAlias, model, alias).Scan(dest...); err != nil {
		missing := fault.Errorf(registry.ErrNotFound, "alias %s@%s: not found", model, alias)
		return registry.Alias{}, registry.Version{}, s.missing(ctx, err, model, missing)
	}
	return a, v, nil
}

// Aliases implements registry.Store.
func (s *Store) Aliases(ctx context.Context, model, after string, limit int) ([]registry.Alias, error) {
	scan := func(row sqlstore.Scanner) (registry.Alias, error) {
		a := registry.Alias{Model: model}
		err := row.Scan(&a.Name, &a.Version, &a.Seq, sqlstore.Millis(&a.MovedAt))
		return a, err
	}
	return page(ctx, s, model, scan, selectAliases, model, after, limitOf(limit))
}
