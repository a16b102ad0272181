package servesql

import (
	"context"
	"database/sql"
	"time"

	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/serve"
)

const (
	lockCount = `INSERT INTO {p}serve_count (model) VALUES (?) ON CONFLICT (model) DO UPDATE SET model = excluded.model`
	addCount  = `UPDATE {p}serve_count SET predictions = predictions + ?, unanswered = unanswered + ?, reattempts = reattempts + ?,
		shadow = shadow + ?, labels = labels + ?, corrections = corrections + ?, bytes = bytes + ? WHERE model = ?`
	selectCounts = `SELECT coalesce(max(predictions), 0), coalesce(max(unanswered), 0), coalesce(max(reattempts), 0), coalesce(max(shadow), 0),
		coalesce(max(labels), 0), coalesce(max(corrections), 0), coalesce(max(bytes), 0),
		(SELECT coalesce(max(seq), 0) FROM {p}serve_prediction WHERE model = ?), (SELECT coalesce(max(seq), 0) FROM {p}serve_label WHERE model = ?),
		(SELECT min(time) FROM {p}serve_prediction WHERE model = ?)
		FROM {p}serve_count WHERE model = ?`
)

// tally is by how much a model's counts change.
type tally struct {
	predictions, unanswered, reattempts, shadow, labels, corrections, bytes int64
}

func (t *tally) prediction(r stored, bytes int64) {
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

// tallies are the changes of one transaction, by model.
type tallies map[string]*tally

// change runs fn in a transaction that changes the logs of the groups' models,
// and then brings their counts up to date. It begins by writing to the counts,
// which makes it wait for others that change these logs: what fn reads stays so
// until it commits, also where the pool's transactions do not begin as writers.
// Statements are prepared before it begins: a pool of one connection must do.
func (s *Store) change(ctx context.Context, groups []rowsOf, fn func(tx *sql.Tx, counts tallies) error) error {
	lock, err := s.stmt(ctx, lockCount)
	if err != nil {
		return sqldb.Fault(err)
	}
	add, err := s.stmt(ctx, addCount)
	if err != nil {
		return sqldb.Fault(err)
	}
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		counts := tallies{}
		for _, g := range groups {
			if counts[g.model] != nil {
				continue
			}
			counts[g.model] = &tally{}
			if _, err := tx.StmtContext(ctx, lock).ExecContext(ctx, g.model); err != nil {
				return err
			}
		}
		if err := fn(tx, counts); err != nil {
			return err
		}
		return counts.store(ctx, tx, add)
	})
}

// store brings the counts up to date.
func (t tallies) store(ctx context.Context, tx *sql.Tx, add *sql.Stmt) error {
	for model, c := range t {
		if *c == (tally{}) {
			continue
		}
		_, err := tx.StmtContext(ctx, add).ExecContext(ctx, c.predictions, c.unanswered, c.reattempts, c.shadow, c.labels, c.corrections, c.bytes, model)
		if err != nil {
			return err
		}
	}
	return nil
}

// Counts implements serve.Store.
func (s *Store) Counts(ctx context.Context, model string) (serve.Counts, error) {
	var c serve.Counts
	var oldest time.Time
	err := s.query(ctx, selectCounts, []any{model, model, model, model}, func(row sqlstore.Scanner) error {
		return row.Scan(&c.Predictions, &c.Unanswered, &c.Reattempts, &c.Shadow, &c.Labels, &c.Corrections, &c.Bytes,
			&c.LastSeq, &c.LastLabel, sqlstore.Millis(&oldest))
	})
	c.Oldest = oldest
	return c, err
}
