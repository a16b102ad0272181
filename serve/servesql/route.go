package servesql

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
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
	err := s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		statement := text
		if r.Rev != 1 {
			statement += tx.Brief()
		}
		n, err := tx.Exec(ctx, statement, args...)
		if err != nil || n == 1 {
			return s.routes.notify(ctx, tx, r.Model, err)
		}
		now, err := route(ctx, tx, r.Model)
		if err != nil && fault.Kind(err) != fault.NotFound {
			return err
		}
		if err := r.Follows(now); err != nil {
			return err
		}
		return fault.Errorf(fault.Conflict, "the route of model %q changed meanwhile: read it again", r.Model)
	})
	if err == nil {
		s.routes.changed(r.Model)
	}
	return err
}

// Route implements serve.Store.
func (s *Store) Route(ctx context.Context, model string) (serve.Route, error) {
	return route(ctx, s.db, model)
}

func route(ctx context.Context, q sqlstore.Querier, model string) (r serve.Route, err error) {
	err = q.QueryRow(ctx, selectRoute, model).Scan(&r.Model, &r.Primary, &r.Canary, &r.Share, &r.Shadow, &r.Salt, &r.Rev, &r.Token)
	if fault.Kind(err) == fault.NotFound {
		return serve.Route{}, fault.Errorf(fault.NotFound, "model %q has no stored route: not found", model)
	}
	return r, err
}

// How often WaitRoute looks, at one row by its key: where nothing tells of other
// processes' changes, and where PostgreSQL does.
const (
	pollSQLite   = time.Second
	pollPostgres = 5 * time.Second
)

// WaitRoute implements serve.Store. It returns at once with a change through
// this Store. Another process's is seen within a second on SQLite. PostgreSQL
// tells of it at once, on a connection of its own that is open while somebody
// waits; where it cannot be had, or nothing comes through it, as behind PgBouncer,
// it is seen within five seconds.
func (s *Store) WaitRoute(ctx context.Context, model string, rev int64) (serve.Route, error) {
	if s.db.InTx() {
		return serve.Route{}, fault.Errorf(fault.Unsupported, "a route cannot be waited for inside a transaction: use the store itself")
	}
	poll := pollSQLite
	if s.db.Dialect() == sqlstore.PostgreSQL {
		poll = pollPostgres
		defer s.routes.listen()()
	}
	for {
		changed := s.routes.change(model) // before the look, so that no change falls between
		if err := s.routes.open(); err != nil {
			return serve.Route{}, err
		}
		r, err := s.Route(ctx, model)
		if err != nil && (fault.Kind(err) != fault.NotFound || rev != 0) {
			return serve.Route{}, err
		}
		if r.Rev != rev {
			return r, nil
		}
		timer := time.NewTimer(poll)
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
