package retrainsql

import (
	"context"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// PutState implements retrain.Store.
func (s *Store) PutState(ctx context.Context, st retrain.State) error {
	err := s.put(ctx, record{
		"state", st.Model, place{st.Rev, st.Token},
		`SELECT rev, token FROM {p}retrain_state WHERE model = ?`, []any{st.Model},
	}, func(tx *sqlstore.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO {p}retrain_state (model, rev, token, stepped_at, data) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (model) DO UPDATE SET rev = excluded.rev, token = excluded.token, stepped_at = excluded.stepped_at, data = excluded.data`,
			st.Model, st.Rev, st.Token, sqlstore.NullMillis(st.SteppedAt), notNull(st.Data))
		return err
	})
	return wrap(err, "put the state of %s", st.Model)
}

// notNull keeps a nil slice from becoming NULL.
func notNull(data []byte) []byte { return append([]byte{}, data...) }

// State implements retrain.Store.
func (s *Store) State(ctx context.Context, model string) (retrain.State, error) {
	st := retrain.State{Model: model}
	row := s.db.QueryRow(ctx, `SELECT rev, token, stepped_at, data FROM {p}retrain_state WHERE model = ?`, model)
	if err := row.Scan(&st.Rev, &st.Token, sqlstore.Millis(&st.SteppedAt), &st.Data); err != nil {
		return retrain.State{}, wrap(err, "state of %s", model)
	}
	return st, nil
}

// PutCursor implements retrain.Store.
func (s *Store) PutCursor(ctx context.Context, c retrain.Cursor) error {
	err := s.put(ctx, record{
		"cursor of " + c.Sender, c.Model, place{c.Rev, c.Token},
		`SELECT rev, token FROM {p}retrain_cursor WHERE model = ? AND sender = ?`, []any{c.Model, c.Sender},
	}, func(tx *sqlstore.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO {p}retrain_cursor (model, sender, rev, token, data) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (model, sender) DO UPDATE SET rev = excluded.rev, token = excluded.token, data = excluded.data`,
			c.Model, c.Sender, c.Rev, c.Token, notNull(c.Data))
		return err
	})
	return wrap(err, "put the cursor of %s for %s", c.Sender, c.Model)
}

// Cursor implements retrain.Store.
func (s *Store) Cursor(ctx context.Context, model, sender string) (retrain.Cursor, error) {
	c := retrain.Cursor{Model: model, Sender: sender}
	row := s.db.QueryRow(ctx, `SELECT rev, token, data FROM {p}retrain_cursor WHERE model = ? AND sender = ?`, model, sender)
	if err := row.Scan(&c.Rev, &c.Token, &c.Data); err != nil {
		return retrain.Cursor{}, wrap(err, "cursor of %s for %s", sender, model)
	}
	return c, nil
}

// PutConfig implements retrain.Store.
func (s *Store) PutConfig(ctx context.Context, digest string, data []byte) error {
	_, err := s.db.Exec(ctx, `INSERT INTO {p}retrain_config (digest, data) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING`, digest, notNull(data))
	return wrap(err, "put configuration %s", digest)
}

// Config implements retrain.Store.
func (s *Store) Config(ctx context.Context, digest string) (data []byte, err error) {
	err = s.db.QueryRow(ctx, `SELECT data FROM {p}retrain_config WHERE digest = ?`, digest).Scan(&data)
	return data, wrap(err, "configuration %s", digest)
}
