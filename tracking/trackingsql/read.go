package trackingsql

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking"
)

const runColumns = `r.num, r.id, r.experiment_id, r.name, r.status, r.started_at, r.ended_at, r.error, r.rev`

// runFields are where runColumns after the first are scanned to.
func runFields(r *tracking.RunInfo) []any {
	return []any{&r.ID, &r.ExperimentID, &r.Name, &r.Status, sqlstore.Millis(&r.StartedAt), sqlstore.Millis(&r.EndedAt), &r.Error, &r.Rev}
}

// Run implements tracking.Store.
func (s *Store) Run(ctx context.Context, id string) (tracking.RunRecord, error) {
	if err := tracking.CheckText(id); err != nil {
		return tracking.RunRecord{}, err
	}
	var found []tracking.RunRecord
	err := s.db.ReadTx(ctx, func(tx *sqlstore.Tx) (err error) {
		found, err = records(ctx, tx, `SELECT `+runColumns+` FROM {p}tracking_run r WHERE r.id = ?`, id)
		return err
	})
	if err != nil {
		return tracking.RunRecord{}, err
	}
	if len(found) == 0 {
		return tracking.RunRecord{}, fault.Errorf(tracking.ErrNotFound, "not found")
	}
	return found[0], nil
}

// Runs implements tracking.Store.
func (s *Store) Runs(ctx context.Context, q tracking.RunQuery) (runs []tracking.RunRecord, next string, err error) {
	if err := q.CheckText(); err != nil {
		return nil, "", err
	}
	limit := cmp.Or(q.Limit, 1000)
	err = s.db.ReadTx(ctx, func(tx *sqlstore.Tx) error {
		if err := checkPage(ctx, tx, q.Page); err != nil {
			return err
		}
		where, args := conditions(q)
		query := `SELECT ` + runColumns + ` FROM {p}tracking_run r` + where + ` ORDER BY r.started_at DESC, r.id DESC LIMIT ?`
		runs, err = records(ctx, tx, query, append(args, limit+1)...) // one more tells whether a page follows
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(runs) > limit {
		runs = runs[:limit]
		next = runs[limit-1].ID
	}
	return runs, next, nil
}

// checkPage checks a page token: the id of the last run of the page before.
func checkPage(ctx context.Context, tx *sqlstore.Tx, token string) error {
	if token == "" {
		return nil
	}
	_, err := runNum(ctx, tx, token)
	if errors.Is(err, tracking.ErrNotFound) {
		return fault.Errorf(tracking.ErrInvalid, "page token %q: unknown", token)
	}
	return err
}

// conditions returns the WHERE clause of a query, and its arguments.
func conditions(q tracking.RunQuery) (string, []any) {
	var conds []string
	var args []any
	add := func(cond string, values ...any) {
		conds = append(conds, cond)
		args = append(args, values...)
	}
	if q.ExperimentID != "" {
		add(`r.experiment_id = ?`, q.ExperimentID)
	}
	if len(q.Statuses) > 0 {
		add(`r.status IN (`+marks(len(q.Statuses))+`)`, anys(q.Statuses)...)
	}
	for key, value := range q.Tags {
		add(`EXISTS (SELECT 1 FROM {p}tracking_tag t WHERE t.run = r.num AND t.key = ? AND t.value = ?)`, key, value)
	}
	if q.Page != "" {
		add(`(r.started_at, r.id) < (SELECT started_at, id FROM {p}tracking_run WHERE id = ?)`, q.Page)
	}
	if len(conds) == 0 {
		return "", nil
	}
	return ` WHERE ` + strings.Join(conds, ` AND `), args
}

// records returns the runs that the query selects, with their data.
func records(ctx context.Context, tx *sqlstore.Tx, query string, args ...any) ([]tracking.RunRecord, error) {
	var nums []int64
	runs, err := sqlstore.Select(ctx, tx, func(row sqlstore.Scanner) (tracking.RunRecord, error) {
		r := tracking.RunRecord{RunData: tracking.RunData{
			Metrics: map[string]tracking.Metric{}, Params: map[string]string{}, Tags: map[string]string{},
		}}
		var num int64
		err := row.Scan(append([]any{&num}, runFields(&r.RunInfo)...)...)
		nums = append(nums, num)
		return r, err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	const chunk = 500 // runs whose data one query gets
	for from := 0; from < len(nums); from += chunk {
		to := min(from+chunk, len(nums))
		if err := loadData(ctx, tx, nums[from:to], runs[from:to]); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// MetricHistory implements tracking.Store.
func (s *Store) MetricHistory(ctx context.Context, runID, key string) ([]tracking.Metric, error) {
	if err := tracking.CheckText(runID, key); err != nil {
		return nil, err
	}
	var points []tracking.Metric
	err := s.db.ReadTx(ctx, func(tx *sqlstore.Tx) error {
		num, err := runNum(ctx, tx, runID)
		if err != nil {
			return err
		}
		points, err = sqlstore.Select(ctx, tx, func(row sqlstore.Scanner) (tracking.Metric, error) {
			var p point
			err := row.Scan(p.columns()...)
			return p.metric(key), err
		}, `SELECT p.step, p.time, p.is_number, p.value
			FROM {p}tracking_metric m JOIN {p}tracking_point p ON p.metric = m.num
			WHERE m.run = ? AND m.key = ?
			ORDER BY p.step, p.time, p.is_number, p.value`, num, key)
		return err
	})
	return points, err
}
