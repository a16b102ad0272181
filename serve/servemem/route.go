package servemem

import (
	"context"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
)

// PutRoute implements serve.Store.
func (s *Store) PutRoute(ctx context.Context, r serve.Route) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := r.Follows(s.routes[r.Model]); err != nil {
		return err
	}
	s.routes[r.Model] = r
	if changed, ok := s.changed[r.Model]; ok {
		close(changed)
		delete(s.changed, r.Model)
	}
	return nil
}

// Route implements serve.Store.
func (s *Store) Route(ctx context.Context, model string) (serve.Route, error) {
	if err := s.lock(ctx); err != nil {
		return serve.Route{}, err
	}
	defer s.mu.Unlock()
	return s.route(model)
}

// route is Route under the lock.
func (s *Store) route(model string) (serve.Route, error) {
	r, ok := s.routes[model]
	if !ok {
		return serve.Route{}, fault.Errorf(fault.NotFound, "model %q has no stored route: not found", model)
	}
	return r, nil
}

// WaitRoute implements serve.Store: it returns at once with the change.
func (s *Store) WaitRoute(ctx context.Context, model string, rev int64) (serve.Route, error) {
	for {
		if err := s.lock(ctx); err != nil {
			return serve.Route{}, err
		}
		r, err := s.route(model)
		if r.Rev != rev || (err != nil && rev != 0) {
			s.mu.Unlock()
			return r, err
		}
		changed, ok := s.changed[model]
		if !ok {
			changed = make(chan struct{})
			s.changed[model] = changed
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return serve.Route{}, ctx.Err()
		}
	}
}
