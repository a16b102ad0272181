package servesql

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
)

const (
	selectModel = `SELECT id, last_seq, last_label FROM {p}serve_model WHERE name = ?`
	insertModel = `INSERT INTO {p}serve_model (name) VALUES (?) ON CONFLICT (name) DO NOTHING`
	updateModel = `UPDATE {p}serve_model SET last_seq = ?, last_label = ?, predictions = predictions + ?, unanswered = unanswered + ?,
		reattempts = reattempts + ?, shadow = shadow + ?, labels = labels + ?, corrections = corrections + ?, bytes = bytes + ? WHERE id = ?`
	selectCounts = `SELECT m.predictions, m.unanswered, m.reattempts, m.shadow, m.labels, m.corrections, m.bytes,
		(SELECT coalesce(max(seq), 0) FROM {p}serve_prediction WHERE model = m.id), (SELECT coalesce(max(seq), 0) FROM {p}serve_label WHERE model = m.id),
		(SELECT min(time) FROM {p}serve_prediction WHERE model = m.id)
		FROM {p}serve_model m WHERE m.name = ?`
)

// modelRow is a model's row, which one transaction at a time holds.
type modelRow struct {
	name               string
	id                 int64
	lastSeq, lastLabel int64
	tally
}

// tally is by how much a model's counts change.
type tally struct {
	predictions, unanswered, reattempts, shadow, labels, corrections, bytes int64
}

func (t *tally) prediction(r *stored, bytes int64) {
	switch {
	case r.variant == shadow:
		t.shadow++
	case r.ok():
		t.predictions++
	default:
		t.unanswered++
	}
	if r.variant != shadow && r.attempt > 1 {
		t.reattempts++
	}
	t.bytes += bytes
}

// lock waits for others that change the model's log and holds them off until the
// transaction ends: what is read after it stays so, and numbers that are given
// become visible in their order. A model without a row is nil, unless the row is
// to be made.
func lock(ctx context.Context, tx *sqlstore.Tx, name string, make bool) (*modelRow, error) {
	m := modelRow{name: name}
	err := tx.QueryRow(ctx, selectModel+tx.ForUpdate(), name).Scan(&m.id, &m.lastSeq, &m.lastLabel)
	if fault.Kind(err) != fault.NotFound {
		return &m, err
	}
	if !make {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, insertModel, name); err != nil {
		return nil, err
	}
	err = tx.QueryRow(ctx, selectModel+tx.ForUpdate(), name).Scan(&m.id, &m.lastSeq, &m.lastLabel)
	return &m, err
}

// store brings the model's row up to date.
func (m *modelRow) store(ctx context.Context, tx *sqlstore.Tx) error {
	if m.tally == (tally{}) {
		return nil
	}
	_, err := tx.Exec(ctx, updateModel, m.lastSeq, m.lastLabel, m.predictions, m.unanswered, m.reattempts, m.shadow, m.labels, m.corrections, m.bytes, m.id)
	return err
}

// change runs fn for each of the models with its row locked, in one transaction,
// and brings the rows up to date. All lock in the order of the names, so that
// none waits for another that waits for it. fn may run several times.
func (s *Store) change(ctx context.Context, names []string, make bool, fn func(tx *sqlstore.Tx, name string, m *modelRow) error) error {
	slices.Sort(names)
	return s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		for _, name := range names {
			m, err := lock(ctx, tx, name, make)
			if err == nil {
				err = fn(tx, name, m)
			}
			if err == nil && m != nil {
				err = m.store(ctx, tx)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// byModel returns the places of n records by their model, each list in order.
func byModel(n int, model func(i int) string) (names []string, places map[string][]int) {
	places = map[string][]int{}
	for i := range n {
		name := model(i)
		places[name] = append(places[name], i)
	}
	return slices.Collect(maps.Keys(places)), places
}

// Counts implements serve.Store.
func (s *Store) Counts(ctx context.Context, model string) (serve.Counts, error) {
	var c serve.Counts
	var oldest time.Time
	err := s.db.QueryRow(ctx, selectCounts, model).Scan(&c.Predictions, &c.Unanswered, &c.Reattempts, &c.Shadow, &c.Labels, &c.Corrections, &c.Bytes,
		&c.LastSeq, &c.LastLabel, sqlstore.Millis(&oldest))
	if fault.Kind(err) == fault.NotFound {
		return serve.Counts{}, nil
	}
	c.Oldest = oldest
	return c, err
}
