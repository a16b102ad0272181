package servesql

import (
	"context"
	"math"
	"slices"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
)

const (
	// The predictions of a subject, by id and by key: each has an index. UNION
	// without ALL would be merged by seq, and SQLite read all of the model's for it.
	erased = `(SELECT seq FROM {p}serve_prediction WHERE model = ? AND id = ?
		UNION ALL SELECT seq FROM {p}serve_prediction WHERE model = ? AND key = ?)`
	trimmed = `(SELECT seq FROM {p}serve_prediction WHERE model = ? AND time < ? AND seq < ? ORDER BY time, seq LIMIT ?)`

	// What follows is completed by one of them.
	sumPredictions = `SELECT CAST(coalesce(sum(CASE WHEN variant <> 2 AND status <= 1 THEN 1 ELSE 0 END), 0) AS BIGINT),
		CAST(coalesce(sum(CASE WHEN variant <> 2 AND status > 1 THEN 1 ELSE 0 END), 0) AS BIGINT),
		CAST(coalesce(sum(CASE WHEN variant <> 2 AND attempt > 1 THEN 1 ELSE 0 END), 0) AS BIGINT),
		CAST(coalesce(sum(CASE WHEN variant = 2 THEN 1 ELSE 0 END), 0) AS BIGINT), CAST(coalesce(sum(bytes), 0) AS BIGINT)
		FROM {p}serve_prediction WHERE model = ? AND seq IN `
	deletePredictions = `DELETE FROM {p}serve_prediction WHERE model = ? AND seq IN `

	// A trimmed row's label stays while a later attempt of the row does.
	unlessLeft = ` AND NOT EXISTS (SELECT 1 FROM {p}serve_prediction q WHERE q.model = p.model AND q.id = p.id AND q.row_index = p.row_index
		AND q.seq NOT IN `
	sumLabels = `SELECT CAST(coalesce(sum(1 - correction), 0) AS BIGINT), CAST(coalesce(sum(correction), 0) AS BIGINT), CAST(coalesce(sum(bytes), 0) AS BIGINT)`
)

// labelsOf is the labels of predictions, found by the index of each.
func labelsOf(d sqlstore.Dialect) string {
	return ` FROM {p}serve_label WHERE model = ? AND seq IN (SELECT l.seq FROM {p}serve_prediction p` +
		each(d, `{p}serve_label`, `l`, `l.model = p.model AND l.id = p.id AND l.row_index = p.row_index`) + ` WHERE p.model = ? AND p.seq IN `
}

// removal is a set of a model's predictions to delete, and of labels.
type removal struct {
	predictions     string // a subquery
	predictionsArgs []any
	labels          string // what follows FROM
	labelsArgs      []any
}

// Erase implements serve.Store.
func (s *Store) Erase(ctx context.Context, model string, subjects []string) (int64, error) {
	subjects = slices.Compact(slices.Sorted(slices.Values(subjects)))
	subjects = slices.DeleteFunc(subjects, func(subject string) bool { return !serve.Storable(subject) })
	return s.removeAll(ctx, model, func(m int64) []removal {
		var all []removal
		for _, subject := range subjects {
			args := []any{m, subject, m, subject}
			all = append(all, removal{erased, args, labelsOf(s.db.Dialect()) + erased + `)`, slices.Concat([]any{m, m}, args)})
		}
		return all
	})
}

// Trim implements serve.Store.
func (s *Store) Trim(ctx context.Context, t serve.Trim) (int64, error) {
	keep := t.KeepFrom
	if keep == 0 {
		keep = math.MaxInt64
	}
	labels := labelsOf(s.db.Dialect()) + trimmed + unlessLeft + trimmed + fence(s.db.Dialect()) + `))`
	return s.removeAll(ctx, t.Model, func(m int64) []removal {
		args := []any{m, t.Before.UnixMilli(), keep, limit(t.Limit)}
		return []removal{{trimmed, args, labels, slices.Concat([]any{m, m}, args, args)}}
	})
}

// removeAll deletes what the removals of the model with a number name, in one
// transaction, and returns how many predictions those were.
func (s *Store) removeAll(ctx context.Context, model string, removals func(m int64) []removal) (n int64, err error) {
	err = s.change(ctx, []string{model}, false, func(tx *sqlstore.Tx, _ string, m *modelRow) error {
		n = 0
		if m == nil {
			return nil
		}
		for _, r := range removals(m.id) {
			gone, err := m.remove(ctx, tx, r)
			if err != nil {
				return err
			}
			n += gone
		}
		return nil
	})
	return n, err
}

// remove deletes labels, then predictions, and takes them off the counts. It
// returns how many predictions those were.
func (m *modelRow) remove(ctx context.Context, tx *sqlstore.Tx, r removal) (int64, error) {
	var c tally
	var bytes int64
	predictionsArgs := append([]any{m.id}, r.predictionsArgs...)
	err := tx.QueryRow(ctx, sumPredictions+r.predictions, predictionsArgs...).
		Scan(&c.predictions, &c.unanswered, &c.reattempts, &c.shadow, &c.bytes)
	n := c.predictions + c.unanswered + c.shadow
	if err != nil || n == 0 {
		return 0, err
	}
	if err := tx.QueryRow(ctx, sumLabels+r.labels, r.labelsArgs...).Scan(&c.labels, &c.corrections, &bytes); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `DELETE`+r.labels, r.labelsArgs...); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, deletePredictions+r.predictions, predictionsArgs...); err != nil {
		return 0, err
	}
	c.bytes += bytes
	m.minus(c)
	return n, nil
}

// minus takes other counts off.
func (t *tally) minus(o tally) {
	t.predictions -= o.predictions
	t.unanswered -= o.unanswered
	t.reattempts -= o.reattempts
	t.shadow -= o.shadow
	t.labels -= o.labels
	t.corrections -= o.corrections
	t.bytes -= o.bytes
}
