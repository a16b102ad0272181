package servesql

import (
	"context"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/serve"
)

const (
	insertRoute = `INSERT INTO {p}serve_route (primary_version, canary_version, share, shadow_version, salt, rev, token, model)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model) DO NOTHING`
	updateRoute = `UPDATE {p}serve_route SET primary_version = ?, canary_version = ?, share = ?, shadow_version = ?, salt = ?, rev = ?, token = ?
		WHERE model = ? AND rev = ? AND token <= ?`
	selectRoute = `SELECT model, primary_version, canary_version, share, shadow_version, salt, rev, token FROM {p}serve_route WHERE model = ?`
)

// PutRoute implements serve.Store.
func (s *Store) PutRoute(ctx context.Context, r serve.Route) error {
	text, args := insertRoute, []any{r.Primary, r.Canary, r.Share, r.Shadow, r.Salt, r.Rev, r.Token, r.Model}
	if r.Rev != 1 {
		text, args = updateRoute, append(args, r.Rev-1, r.Token)
	}
	result, err := s.db.ExecContext(ctx, s.db.SQL(text), args...)
	if err != nil {
		return sqldb.Fault(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		s.routes.changed(r.Model)
		return sqldb.Fault(err)
	}
	now, err := s.Route(ctx, r.Model)
	if err != nil && fault.Kind(err) != fault.NotFound {
		return err
	}
	if err := r.Follows(now); err != nil {
		return err
	}
	return fault.Errorf(fault.Conflict, "the route of model %q changed meanwhile: read it again", r.Model)
}

// Route implements serve.Store.
func (s *Store) Route(ctx context.Context, model string) (serve.Route, error) {
	var r serve.Route
	err := s.db.QueryRowContext(ctx, s.db.SQL(selectRoute), model).
		Scan(&r.Model, &r.Primary, &r.Canary, &r.Share, &r.Shadow, &r.Salt, &r.Rev, &r.Token)
	if err = sqldb.Fault(err); fault.Kind(err) == fault.NotFound {
		return serve.Route{}, fault.Errorf(fault.NotFound, "model %q has no stored route: not found", model)
	}
	return r, err
}

// pollRoute is how often WaitRoute looks: at one row by its key.
const pollRoute = time.Second

// WaitRoute implements serve.Store. It returns at once with a change through
// this Store, and within a second with another process's.
func (s *Store) WaitRoute(ctx context.Context, model string, rev int64) (serve.Route, error) {
	for {
		changed := s.routes.change(model) // before the look, so that no change falls between
		r, err := s.Route(ctx, model)
		if err != nil && (fault.Kind(err) != fault.NotFound || rev != 0) {
			return serve.Route{}, err
		}
		if r.Rev != rev {
			return r, nil
		}
		timer := time.NewTimer(pollRoute)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return serve.Route{}, ctx.Err()
		}
	}
}

// routeChanges wakes those who wait for a model's route.
type routeChanges struct {
	mu     sync.Mutex
	waited map[string]chan struct{} // by model: closed with the next change
}

// change returns what is closed when the model's route changes.
func (c *routeChanges) change(model string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waited == nil {
		c.waited = map[string]chan struct{}{}
	}
	changed, ok := c.waited[model]
	if !ok {
		changed = make(chan struct{})
		c.waited[model] = changed
	}
	return changed
}

// changed wakes those who wait for the model's route to look again.
func (c *routeChanges) changed(model string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changed, ok := c.waited[model]; ok {
		close(changed)
		delete(c.waited, model)
	}
}
