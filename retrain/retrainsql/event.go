package retrainsql

import (
	"cmp"
	"context"
	"errors"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// AppendEvent implements retrain.Store.
func (s *Store) AppendEvent(ctx context.Context, e retrain.Event) error {
	known, err := s.knows(ctx, e) // most that are told again need no lock
	if err == nil && !known {
		err = s.db.Tx(ctx, func(tx *sqlstore.Tx) error { return appendEvent(ctx, tx, e) })
	}
	return wrap(err, "append an event of %s", e.Model)
}

func (s *Store) knows(ctx context.Context, e retrain.Event) (bool, error) {
	var seq int64
	err := s.db.QueryRow(ctx, `SELECT seq FROM {p}retrain_event WHERE model = ? AND key = ?`, e.Model, e.Key).Scan(&seq)
	if errors.Is(err, retrain.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// appendEvent draws the number while it holds the model's row: what commits
// later has a larger one.
func appendEvent(ctx context.Context, tx *sqlstore.Tx, e retrain.Event) error {
	if _, err := lock(ctx, tx, e.Model); err != nil {
		return err
	}
	var seq int64
	err := tx.QueryRow(ctx, `UPDATE {p}retrain_model SET event_seq = event_seq + 1 WHERE model = ? RETURNING event_seq`, e.Model).Scan(&seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO {p}retrain_event (model, seq, time, kind, text, key) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (model, key) DO NOTHING`, e.Model, seq, e.Time.UnixMilli(), e.Kind, e.Text, e.Key)
	return err
}

// Events implements retrain.Store.
func (s *Store) Events(ctx context.Context, q retrain.EventQuery) ([]retrain.Event, error) {
	events, err := sqlstore.Select(ctx, s.db, func(row sqlstore.Scanner) (e retrain.Event, err error) {
		err = row.Scan(&e.Seq, &e.Model, sqlstore.Millis(&e.Time), &e.Kind, &e.Text, &e.Key)
		return e, err
	}, `SELECT seq, model, time, kind, text, key FROM {p}retrain_event WHERE model = ? AND seq > ? ORDER BY seq LIMIT ?`,
		q.Model, q.After, cmp.Or(q.Limit, retrain.DefaultLimit))
	return events, wrap(err, "events of %s", q.Model)
}
