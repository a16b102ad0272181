package registrymem

import (
	"context"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
)

// Store is a registry.Store in memory. It is safe for concurrent use.
type Store struct {
	registry.UnimplementedStore

	mu     sync.Mutex
	models map[string]*model // by name
	closed bool
}

// model is all that belongs to one model.
type model struct {
	info     registry.Model
	versions []registry.Version // number n at n-1
	keys     map[string]int64
	aliases  map[string]registry.Alias // those deleted too, with Version 0
	events   []registry.Event          // Seq n at n-1
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

// next is the event as it follows the last one.
func (m *model) next(e registry.Event) registry.Event {
	var last registry.Event
	if n := len(m.events); n > 0 {
		last = m.events[n-1]
	}
	e.ModelID = m.info.ID
	return e.Follow(last)
}

// Close makes every later call fail with ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
