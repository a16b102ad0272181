package registrysql

import (
	"context"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/sqlstore"
)

const eventColumns = `model, seq, version, kind, alias, was, became, digest, content, actor, reason, time, format, hash`

// append stores an event after the model's last one and returns it. It writes the
// model's row, too, so that in a service's transaction of a higher isolation two
// that append at once are told.
func (m *locked) append(ctx context.Context, e registry.Event) (registry.Event, error) {
	last := registry.Event{Seq: m.seq}
	if m.seq > 0 {
		err := m.tx.QueryRow(ctx, `SELECT hash FROM {p}registry_event WHERE model = ? AND seq = ?`, m.id, m.seq).Scan(&last.Hash)
		if err != nil {
			return registry.Event{}, orElse(err, fault.Errorf(registry.ErrCorrupt, "model %s: its last event, %d, is missing from the audit trail: call VerifyAudit, restore a backup", m.name, m.seq))
		}
	}
	e.Model, e.ModelID = m.name, m.id
	e = e.Follow(last)
	if _, err := m.tx.Exec(ctx, `UPDATE {p}registry_model SET seq = ? WHERE id = ?`, e.Seq, m.id); err != nil {
		return registry.Event{}, err
	}
	m.seq = e.Seq
	_, err := m.tx.Exec(ctx, `INSERT INTO {p}registry_event (`+eventColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.id, e.Seq, e.Version, e.Kind, e.Alias, e.From, e.To, e.Digest, e.Content, e.Actor, e.Reason, e.Time.UnixMilli(), e.Format, e.Hash)
	return e, err
}

// Events implements registry.Store.
func (s *Store) Events(ctx context.Context, q registry.EventQuery) ([]registry.Event, error) {
	query, args := selectEvents(q)
	scan := func(row sqlstore.Scanner) (registry.Event, error) { return scanEvent(row, q.Model) }
	return page(ctx, s, q.Model, scan, query, args...)
}

// selectEvents is a walk along one index: that of all events, or of an alias's.
func selectEvents(q registry.EventQuery) (query string, args []any) {
	query, args = `SELECT `+eventColumns+` FROM {p}registry_event WHERE model = `+modelID+` AND seq > ?`, []any{q.Model, q.After}
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
	return query + ` LIMIT ?`, append(args, limitOf(q.Limit))
}

func scanEvent(row sqlstore.Scanner, model string) (registry.Event, error) {
	e := registry.Event{Model: model}
	err := row.Scan(&e.ModelID, &e.Seq, &e.Version, &e.Kind, &e.Alias, &e.From, &e.To, &e.Digest, &e.Content, &e.Actor, &e.Reason, sqlstore.Millis(&e.Time), &e.Format, &e.Hash)
	return e, err
}
