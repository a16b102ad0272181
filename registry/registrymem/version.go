package registrymem

import (
	"context"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
)

func (m *model) version(number int64) (*registry.Version, error) {
	if number < 1 || number > int64(len(m.versions)) {
		return nil, fault.Errorf(registry.ErrNotFound, "version %s: not found", registry.VersionRef(m.info.Name, number))
	}
	return &m.versions[number-1], nil
}

// shown is the version under the model's name of now.
func (m *model) shown(v registry.Version) registry.Version {
	v.Model = m.info.Name
	return v
}

// CreateVersion implements registry.Store.
func (s *Store) CreateVersion(ctx context.Context, v registry.Version, e registry.Event) (registry.Version, bool, error) {
	m, unlock, err := s.openModel(ctx, v.Model)
	if err != nil {
		return registry.Version{}, false, err
	}
	defer unlock()
	if number := m.keys[v.Key]; number != 0 {
		old := m.shown(m.versions[number-1])
		if old.Digest != v.Digest {
			return registry.Version{}, false, fault.Errorf(registry.ErrAlreadyExists, "the key %q belongs to %s, which has another digest: choose another key", v.Key, registry.VersionRef(v.Model, old.Number))
		}
		return old, false, nil
	}
	v.ModelID, v.Number = m.info.ID, int64(len(m.versions))+1
	e.Version, e.Digest, e.Content = v.Number, v.Digest, v.ContentHash()
	e = m.next(e)
	v.Seq = e.Seq
	m.versions, m.events = append(m.versions, v), append(m.events, e)
	if v.Key != "" {
		m.keys[v.Key] = v.Number
	}
	return v, true, nil
}

// Version implements registry.Store.
func (s *Store) Version(ctx context.Context, name string, number int64) (registry.Version, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return registry.Version{}, err
	}
	defer unlock()
	if number == 0 {
		number = int64(len(m.versions))
		if number == 0 {
			return registry.Version{}, fault.Errorf(registry.ErrNotFound, "model %s has no version: not found", name)
		}
	}
	v, err := m.version(number)
	if err != nil {
		return registry.Version{}, err
	}
	return m.shown(*v), nil
}

// Versions implements registry.Store.
func (s *Store) Versions(ctx context.Context, name string, before int64, limit int) ([]registry.Version, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	newest := int64(len(m.versions))
	if before != 0 {
		newest = min(newest, before-1)
	}
	var versions []registry.Version
	for n := newest; n > 0 && len(versions) < page(limit); n-- {
		versions = append(versions, m.shown(m.versions[n-1]))
	}
	return versions, nil
}

// SetState implements registry.Store.
func (s *Store) SetState(ctx context.Context, name string, number int64, from, to registry.State, e registry.Event) (bool, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return false, err
	}
	defer unlock()
	v, err := m.version(number)
	switch {
	case err != nil:
		return false, err
	case v.State == to:
		return false, nil
	case v.State != from:
		return false, fault.Errorf(registry.ErrConflict, "its state is %s, not %s: look again", v.State, from)
	}
	v.State = to
	m.events = append(m.events, m.next(e))
	return true, nil
}
