package registrysql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/registry"
)

// defaultLimit is the number of events that Events returns for limit 0.
const defaultLimit = 1000

const eventColumns = `model, seq, version, kind, alias, was, became, actor, reason, time, hash`

// append stores an event after the model's last one. The transaction must have
// the model locked, or have made it.
func (s *Store) append(ctx context.Context, tx *sql.Tx, e registry.Event) error {
	var before string
	err := tx.QueryRowContext(ctx, s.db.SQL(`SELECT seq, hash FROM {p}registry_event WHERE model = ? ORDER BY seq DESC LIMIT 1`), e.Model).Scan(&e.Seq, &before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	e.Seq++
	e.Hash = registry.Chain(before, e)
	_, err = tx.ExecContext(ctx, s.db.SQL(`INSERT INTO {p}registry_event (`+eventColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
		e.Model, e.Seq, e.Version, e.Kind, e.Alias, e.From, e.To, e.Actor, e.Reason, e.Time.UnixMilli(), e.Hash)
	return err
}

// Events implements registry.Store.
func (s *Store) Events(ctx context.Context, model string, after int64, limit int) (events []registry.Event, err error) {
	if limit == 0 {
		limit = defaultLimit
	}
	err = s.view(ctx, model, func(tx *sql.Tx) error {
		events, err = sqlstore.Select(ctx, tx, scanEvent, s.db.SQL(`SELECT `+eventColumns+` FROM {p}registry_event WHERE model = ? AND seq > ? ORDER BY seq LIMIT ?`), model, after, limit)
		return err
	})
	return events, err
}

func scanEvent(row sqlstore.Scanner) (registry.Event, error) {
	var e registry.Event
	err := row.Scan(&e.Model, &e.Seq, &e.Version, &e.Kind, &e.Alias, &e.From, &e.To, &e.Actor, &e.Reason, sqlstore.Millis(&e.Time), &e.Hash)
	return e, err
}
