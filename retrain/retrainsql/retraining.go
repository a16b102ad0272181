package retrainsql

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// PutRetraining implements retrain.Store.
func (s *Store) PutRetraining(ctx context.Context, r retrain.Retraining) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fault.Errorf(fault.Invalid, "retrainsql: put retraining %s: %w", r.ID, err)
	}
	err = s.db.Tx(ctx, func(tx *sqlstore.Tx) error { return putRetraining(ctx, tx, r, body) })
	return wrap(err, "put retraining %s", r.ID)
}

func putRetraining(ctx context.Context, tx *sqlstore.Tx, r retrain.Retraining, body []byte) error {
	lease, err := lock(ctx, tx, r.Model)
	if err != nil {
		return err
	}
	var id string
	var have place
	row := tx.QueryRow(ctx, `SELECT id, rev, token FROM {p}retrain_retraining WHERE model = ? AND number = ?`, r.Model, r.Number)
	switch err := row.Scan(&id, &have.rev, &have.token); {
	case err == nil && id != r.ID:
		return fault.Errorf(fault.AlreadyExists, "retraining %d of %s is %s", r.Number, r.Model, id)
	case err != nil && !errors.Is(err, retrain.ErrNotFound):
		return err
	}
	if err := fence("retraining "+r.ID, r.Model, have, place{r.Rev, r.Token}, lease); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO {p}retrain_retraining (model, number, id, rev, token, version, body) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (model, number) DO UPDATE SET rev = excluded.rev, token = excluded.token, version = excluded.version, body = excluded.body`,
		r.Model, r.Number, r.ID, r.Rev, r.Token, r.Version, string(body))
	return err
}

// Retrainings implements retrain.Store.
func (s *Store) Retrainings(ctx context.Context, q retrain.RetrainingQuery) ([]retrain.Retraining, error) {
	text, args := `SELECT id, body FROM {p}retrain_retraining WHERE model = ? AND number >= ?`, []any{q.Model, q.From}
	if q.Version != 0 {
		text, args = text+` AND version = ?`, append(args, q.Version)
	}
	limit := cmp.Or(q.Limit, retrain.DefaultLimit)
	if q.Last > 0 {
		text, limit = text+` ORDER BY number DESC LIMIT ?`, min(q.Last, retrain.DefaultLimit)
	} else {
		text += ` ORDER BY number LIMIT ?`
	}
	found, err := sqlstore.Select(ctx, s.db, scanRetraining, text, append(args, limit)...)
	if q.Last > 0 {
		slices.Reverse(found)
	}
	return found, wrap(err, "retrainings of %s", q.Model)
}

func scanRetraining(row sqlstore.Scanner) (r retrain.Retraining, err error) {
	var id, body string
	if err := row.Scan(&id, &body); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		return r, fault.Errorf(fault.Corrupt, "retraining %s: its record is damaged: %w", id, err)
	}
	return r, nil
}
