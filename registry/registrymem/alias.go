package registrymem

import (
	"context"
	"maps"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
)

// alias is where an alias points, or when it was deleted.
func (m *model) alias(name string) registry.Alias {
	a := m.aliases[name]
	a.Model, a.Name = m.info.Name, name
	return a
}

// SetAlias implements registry.Store.
func (s *Store) SetAlias(ctx context.Context, move registry.AliasMove) (registry.Alias, bool, error) {
	m, unlock, err := s.openModel(ctx, move.Model)
	if err != nil {
		return registry.Alias{}, false, err
	}
	defer unlock()
	var to registry.Version
	if move.To != 0 {
		v, err := m.version(move.To)
		if err != nil {
			return registry.Alias{}, false, err
		}
		to = *v
	}
	now := m.alias(move.Alias)
	moves, err := move.Decide(now, to)
	if err != nil {
		return registry.Alias{}, false, err
	}
	if !moves {
		return now, false, nil
	}
	e := m.next(move.Event)
	now.Version, now.Seq, now.MovedAt = move.To, e.Seq, e.Time
	m.aliases[move.Alias], m.events = now, append(m.events, e)
	return now, true, nil
}

// Alias implements registry.Store.
func (s *Store) Alias(ctx context.Context, name, alias string) (registry.Alias, registry.Version, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return registry.Alias{}, registry.Version{}, err
	}
	defer unlock()
	a := m.alias(alias)
	if a.Version == 0 {
		return registry.Alias{}, registry.Version{}, fault.Errorf(registry.ErrNotFound, "alias %s@%s: not found", name, alias)
	}
	return a, m.shown(m.versions[a.Version-1]), nil
}

// Aliases implements registry.Store.
func (s *Store) Aliases(ctx context.Context, name, after string, limit int) ([]registry.Alias, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(m.aliases)), func(name string) bool { return m.aliases[name].Version == 0 })
	var aliases []registry.Alias
	for _, name := range behind(names, after, limit) {
		aliases = append(aliases, m.alias(name))
	}
	return aliases, nil
}
