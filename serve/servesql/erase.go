package servesql

import (
	"context"
	"database/sql"
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/serve"
)

const (
	// The predictions of subjects, by id and by key: each has an index.
	erased = `(SELECT seq FROM {p}serve_prediction WHERE model = ? AND id = ?
		UNION SELECT seq FROM {p}serve_prediction WHERE model = ? AND key = ?)`
	trimmed = `(SELECT seq FROM {p}serve_prediction WHERE model = ? AND time < ? AND seq < ? ORDER BY time, seq LIMIT ?)`

	// What follows is completed by one of them.
	sumPredictions = `SELECT coalesce(sum(CASE WHEN variant <> 2 AND status <= 1 THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN variant <> 2 AND status > 1 THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN variant <> 2 AND attempt > 1 THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN variant = 2 THEN 1 ELSE 0 END), 0), coalesce(sum(bytes), 0)
		FROM {p}serve_prediction WHERE seq IN `
	deletePredictions = `DELETE FROM {p}serve_prediction WHERE seq IN `

	labelsOf = ` FROM {p}serve_label WHERE seq IN (SELECT l.seq FROM {p}serve_prediction p JOIN {p}serve_label l
		ON l.model = p.model AND l.id = p.id AND l.row_index = p.row_index WHERE p.seq IN `
	// A trimmed row's label stays while a later attempt of the row does.
	unlessLeft = ` AND NOT EXISTS (SELECT 1 FROM {p}serve_prediction q WHERE q.model = p.model AND q.id = p.id AND q.row_index = p.row_index
		AND q.seq NOT IN `
	sumLabels = `SELECT coalesce(sum(1 - correction), 0), coalesce(sum(correction), 0), coalesce(sum(bytes), 0)`
)

// removal is a set of predictions to delete, and of labels.
type removal struct {
	predictions     string // a subquery
	predictionsArgs []any
	labels          string // what follows FROM
	labelsArgs      []any
}

// Erase implements serve.Store.
func (s *Store) Erase(ctx context.Context, model string, subjects []string) (int64, error) {
	if len(subjects) == 0 {
		return 0, ctx.Err()
	}
	var n int64
	err := s.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.db.SQL(lockCount), model); err != nil {
			return err
		}
		for _, subject := range slices.Compact(slices.Sorted(slices.Values(subjects))) {
			args := []any{model, subject, model, subject}
			gone, err := s.remove(ctx, tx, model, removal{erased, args, labelsOf + erased + `)`, args})
			if err != nil {
				return err
			}
			n += gone
		}
		return nil
	})
	if err != nil {
		return 0, sqldb.Fault(err)
	}
	return n, nil
}

// Trim implements serve.Store.
func (s *Store) Trim(ctx context.Context, t serve.Trim) (int64, error) {
	keep := t.KeepFrom
	if keep == 0 {
		keep = math.MaxInt64
	}
	args := []any{t.Model, t.Before.UnixMilli(), keep, limit(t.Limit)}
	var n int64
	err := s.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.db.SQL(lockCount), t.Model); err != nil {
			return err
		}
		var err error
		n, err = s.remove(ctx, tx, t.Model, removal{trimmed, args, labelsOf + trimmed + unlessLeft + trimmed + `))`, slices.Concat(args, args)})
		return err
	})
	if err != nil {
		return 0, sqldb.Fault(err)
	}
	return n, nil
}

// remove deletes labels, then predictions, and takes them off the counts. It
// returns how many predictions those were.
func (s *Store) remove(ctx context.Context, tx *sql.Tx, model string, r removal) (int64, error) {
	var c tally
	var bytes int64
	err := tx.QueryRowContext(ctx, s.db.SQL(sumPredictions+r.predictions), r.predictionsArgs...).
		Scan(&c.predictions, &c.unanswered, &c.reattempts, &c.shadow, &c.bytes)
	n := c.predictions + c.unanswered + c.shadow
	if err != nil || n == 0 {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, s.db.SQL(sumLabels+r.labels), r.labelsArgs...).Scan(&c.labels, &c.corrections, &bytes); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, s.db.SQL(`DELETE`+r.labels), r.labelsArgs...); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, s.db.SQL(deletePredictions+r.predictions), r.predictionsArgs...); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, s.db.SQL(addCount), -c.predictions, -c.unanswered, -c.reattempts, -c.shadow, -c.labels, -c.corrections, -c.bytes-bytes, model)
	return n, err
}
