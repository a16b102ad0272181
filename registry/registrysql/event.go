package registrysql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

const eventColumns = `model, seq, version, kind, alias, was, became, digest, content, actor, reason, time, format, hash`

// appendEvent stores an event after the model's last one and returns it. The
// transaction must have the model locked, or have made it.
func appendEvent(ctx context.Context, tx txn, id string, e registry.Event) (registry.Event, error) {
	var last registry.Event
	err := tx.QueryRow(ctx, `SELECT seq, hash FROM {p}registry_event WHERE model = ? ORDER BY seq DESC LIMIT 1`, id).Scan(&last.Seq, &last.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return registry.Event{}, err
	}
	e.ModelID = id
	e = e.Follow(last)
	_, err = tx.Exec(ctx, `INSERT INTO {p}registry_event (`+eventColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, e.Seq, e.Version, e.Kind, e.Alias, e.From, e.To, e.Digest, e.Content, e.Actor, e.Reason, e.Time.UnixMilli(), e.Format, e.Hash)
	return e, err
}

// Events implements registry.Store.
func (s *Store) Events(ctx context.Context, q registry.EventQuery) (events []registry.Event, err error) {
	err = s.view(ctx, q.Model, func(tx txn, id string) error {
		query, args := `SELECT `+eventColumns+` FROM {p}registry_event WHERE model = ? AND seq > ?`, []any{id, q.After}
		if q.Alias != "" { // the second condition is that of the index
			query, args = query+` AND alias = ? AND alias <> ''`, append(args, q.Alias)
		}
		if !q.Until.IsZero() {
			query, args = query+` AND time <= ?`, append(args, q.Until.UnixMilli())
		}
		query += ` ORDER BY seq`
		if q.Newest {
			query += ` DESC`
		}
		scan := func(row sqlstore.Scanner) (registry.Event, error) { return scanEvent(row, q.Model) }
		events, err = list(ctx, tx, scan, query+` LIMIT ?`, append(args, limitOf(q.Limit))...)
		return err
	})
	return events, err
}

func scanEvent(row sqlstore.Scanner, model string) (registry.Event, error) {
	e := registry.Event{Model: model}
	err := row.Scan(&e.ModelID, &e.Seq, &e.Version, &e.Kind, &e.Alias, &e.From, &e.To, &e.Digest, &e.Content, &e.Actor, &e.Reason, sqlstore.Millis(&e.Time), &e.Format, &e.Hash)
	return e, err
}
