package registrymem

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
)

// Store is a registry.Store in memory. It is safe for concurrent use.
type Store struct {
	registry.UnimplementedStore

	mu     sync.Mutex
	models map[string]*model
	closed bool
}

// model is all that belongs to one model.
type model struct {
	info     registry.Model
	versions []registry.Version // number n at n-1
	aliases  map[string]registry.Alias
	events   []registry.Event // Seq n at n-1
}

var _ registry.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store { return &Store{models: map[string]*model{}} }

// open locks the store unless it is closed or ctx is done.
func (s *Store) open(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, fault.Errorf(registry.ErrClosed, "the store is closed")
	}
	return s.mu.Unlock, nil
}

// openModel locks the store and finds a model in it.
func (s *Store) openModel(ctx context.Context, name string) (m *model, unlock func(), err error) {
	unlock, err = s.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	m, ok := s.models[name]
	if !ok {
		unlock()
		return nil, nil, fault.Errorf(registry.ErrNotFound, "model %s: not found", name)
	}
	return m, unlock, nil
}

func (m *model) version(number int64) (*registry.Version, error) {
	if number < 1 || number > int64(len(m.versions)) {
		return nil, fault.Errorf(registry.ErrNotFound, "version %s: not found", registry.VersionRef(m.info.Name, number))
	}
	return &m.versions[number-1], nil
}

func (m *model) append(e registry.Event) {
	before := ""
	if n := len(m.events); n > 0 {
		before = m.events[n-1].Hash
	}
	e.Seq = int64(len(m.events)) + 1
	e.Hash = registry.Chain(before, e)
	m.events = append(m.events, e)
}

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
	m := &model{info: info, aliases: map[string]registry.Alias{}}
	m.append(e)
	s.models[info.Name] = m
	return nil
}

// Models implements registry.Store.
func (s *Store) Models(ctx context.Context) ([]registry.Model, error) {
	unlock, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var infos []registry.Model
	for _, name := range slices.Sorted(maps.Keys(s.models)) {
		infos = append(infos, s.models[name].info)
	}
	return infos, nil
}

// CreateVersion implements registry.Store.
func (s *Store) CreateVersion(ctx context.Context, v registry.Version, e registry.Event) (registry.Version, error) {
	m, unlock, err := s.openModel(ctx, v.Model)
	if err != nil {
		return registry.Version{}, err
	}
	defer unlock()
	for _, old := range m.versions {
		if v.Key == "" || old.Key != v.Key {
			continue
		}
		if old.Digest != v.Digest {
			return registry.Version{}, fault.Errorf(registry.ErrAlreadyExists, "the key %q belongs to %s, which has another digest: choose another key", v.Key, registry.VersionRef(v.Model, old.Number))
		}
		return old, nil
	}
	v.Number = int64(len(m.versions)) + 1
	e.Version = v.Number
	m.versions = append(m.versions, v)
	m.append(e)
	return v, nil
}

// Version implements registry.Store.
func (s *Store) Version(ctx context.Context, name string, number int64) (registry.Version, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return registry.Version{}, err
	}
	defer unlock()
	v, err := m.version(number)
	if err != nil {
		return registry.Version{}, err
	}
	return *v, nil
}

// Versions implements registry.Store.
func (s *Store) Versions(ctx context.Context, name string) ([]registry.Version, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	versions := slices.Clone(m.versions)
	slices.Reverse(versions)
	return versions, nil
}

// SetState implements registry.Store.
func (s *Store) SetState(ctx context.Context, name string, number int64, from, to registry.State, e registry.Event) error {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	v, err := m.version(number)
	switch {
	case err != nil:
		return err
	case v.State == to:
		return nil
	case v.State != from:
		return fault.Errorf(registry.ErrConflict, "its state is %s, not %s: look again", v.State, from)
	}
	v.State = to
	m.append(e)
	return nil
}

// SetAlias implements registry.Store.
func (s *Store) SetAlias(ctx context.Context, name, alias string, from, to int64, at time.Time, e registry.Event) error {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if to != 0 {
		if _, err := m.version(to); err != nil {
			return err
		}
	}
	now := m.aliases[alias].Version // 0 when there is none
	switch {
	case now == to:
		return nil
	case now != from:
		return fault.Errorf(registry.ErrConflict, "it points at version %d, not %d (0: none): look again", now, from)
	case to == 0:
		delete(m.aliases, alias)
	default:
		m.aliases[alias] = registry.Alias{Model: name, Name: alias, Version: to, MovedAt: at}
	}
	m.append(e)
	return nil
}

// Alias implements registry.Store.
func (s *Store) Alias(ctx context.Context, name, alias string) (registry.Alias, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return registry.Alias{}, err
	}
	defer unlock()
	a, ok := m.aliases[alias]
	if !ok {
		return registry.Alias{}, fault.Errorf(registry.ErrNotFound, "alias %s@%s: not found", name, alias)
	}
	return a, nil
}

// Aliases implements registry.Store.
func (s *Store) Aliases(ctx context.Context, name string) ([]registry.Alias, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return slices.SortedFunc(maps.Values(m.aliases), func(a, b registry.Alias) int { return strings.Compare(a.Name, b.Name) }), nil
}

// defaultLimit is the number of events that Events returns for limit 0.
const defaultLimit = 1000

// Events implements registry.Store.
func (s *Store) Events(ctx context.Context, name string, after int64, limit int) ([]registry.Event, error) {
	m, unlock, err := s.openModel(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if limit == 0 {
		limit = defaultLimit
	}
	events := m.events[min(after, int64(len(m.events))):]
	return slices.Clone(events[:min(limit, len(events))]), nil
}

// Close makes every later call fail with ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
