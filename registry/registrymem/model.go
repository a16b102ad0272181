package registrymem

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
)

// CreateModel implements registry.Store.
func (s *Store) CreateModel(ctx context.Context, info registry.Model, e registry.Event) error {
	unlock, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, ok := s.models[info.Name]; ok {
		return fault.Errorf(registry.ErrAlreadyExists, "model %s: already exists", info.Name)
	}
	m := &model{info: info, keys: map[string]int64{}, aliases: map[string]registry.Alias{}}
	m.events = append(m.events, m.next(e))
	s.models[info.Name] = m
	return nil
}

// RenameModel implements registry.Store.
func (s *Store) RenameModel(ctx context.Context, name, to string, e registry.Event) (registry.Model, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return registry.Model{}, err
	}
	defer unlock()
	if to == name {
		return m.info, nil
	}
	if _, ok := s.models[to]; ok {
		return registry.Model{}, fault.Errorf(registry.ErrAlreadyExists, "model %s: already exists", to)
	}
	delete(s.models, name)
	s.models[to] = m
	m.info.Name = to
	m.events = append(m.events, m.next(e))
	return m.info, nil
}

// Model implements registry.Store.
func (s *Store) Model(ctx context.Context, name string) (registry.Model, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return registry.Model{}, err
	}
	defer unlock()
	return m.info, nil
}

// Models implements registry.Store.
func (s *Store) Models(ctx context.Context, after string, limit int) ([]registry.Model, error) {
	unlock, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var infos []registry.Model
	for _, name := range behind(slices.Sorted(maps.Keys(s.models)), after, limit) {
		infos = append(infos, s.models[name].info)
	}
	return infos, nil
}

// behind returns the page of names that follow one.
func behind(names []string, after string, limit int) []string {
	i, found := slices.BinarySearch(names, after)
	if found {
		i++
	}
	return names[i:min(i+page(limit), len(names))]
}

func page(limit int) int { return cmp.Or(limit, registry.DefaultPage) }
