package servesql

import (
	"context"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/serve"
)

const (
	insertRoute = `INSERT INTO {p}serve_route (primary_version, canary_version, share, shadow_version, salt, rev, model)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model) DO NOTHING`
	updateRoute = `UPDATE {p}serve_route SET primary_version = ?, canary_version = ?, share = ?, shadow_version = ?, salt = ?, rev = ?
		WHERE model = ? AND rev = ?`
	selectRoute = `SELECT model, primary_version, canary_version, share, shadow_version, salt, rev FROM {p}serve_route WHERE model = ?`
)

// PutRoute implements serve.Store.
func (s *Store) PutRoute(ctx context.Context, r serve.Route) error {
	text, args := insertRoute, []any{r.Primary, r.Canary, r.Share, r.Shadow, r.Salt, r.Rev, r.Model}
	if r.Rev != 1 {
		text, args = updateRoute, append(args, r.Rev-1)
	}
	result, err := s.db.ExecContext(ctx, s.db.SQL(text), args...)
	if err != nil {
		return sqldb.Fault(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return sqldb.Fault(err)
	}
	now, err := s.Route(ctx, r.Model)
	if err != nil && fault.Kind(err) != fault.NotFound {
		return err
	}
	return fault.Errorf(fault.Conflict, "the route of model %q is at revision %d, revision %d does not follow: read it again", r.Model, now.Rev, r.Rev)
}

// Route implements serve.Store.
func (s *Store) Route(ctx context.Context, model string) (serve.Route, error) {
	var r serve.Route
	err := s.db.QueryRowContext(ctx, s.db.SQL(selectRoute), model).
		Scan(&r.Model, &r.Primary, &r.Canary, &r.Share, &r.Shadow, &r.Salt, &r.Rev)
	if err = sqldb.Fault(err); fault.Kind(err) == fault.NotFound {
		return serve.Route{}, fault.Errorf(fault.NotFound, "model %q has no stored route: not found", model)
	}
	return r, err
}
