package trackingsql

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking"
)

// insertRows is the number of rows that one INSERT holds: enough that the cost
// of a statement is spread, few enough for SQLite's 32,766 variables.
const insertRows = 100

// Log implements tracking.Store. It writes each kind of record in the order of
// its key, so that two batches never wait for one another.
func (s *Store) Log(ctx context.Context, runID string, b tracking.Batch) error {
	if err := tracking.CheckText(runID); err != nil {
		return err
	}
	if err := b.CheckText(); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *sqlstore.Tx) error {
		run, err := runNum(ctx, tx, runID)
		if err != nil {
			return err
		}
		if err := logParams(ctx, tx, run, b.Params); err != nil {
			return err
		}
		if err := logTags(ctx, tx, run, b.Tags); err != nil {
			return err
		}
		if err := logInputs(ctx, tx, run, b.Inputs); err != nil {
			return err
		}
		if err := logArtifacts(ctx, tx, run, b.Artifacts); err != nil {
			return err
		}
		return logMetrics(ctx, tx, run, b.Metrics)
	})
}

func logParams(ctx context.Context, tx *sqlstore.Tx, run int64, params map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(params)) {
		if err := logParam(ctx, tx, run, key, params[key]); err != nil {
			return err
		}
	}
	return nil
}

func logParam(ctx context.Context, tx *sqlstore.Tx, run int64, key, value string) error {
	_, err := tx.Exec(ctx, `INSERT INTO {p}tracking_param (run, key, value) VALUES (?, ?, ?)
		ON CONFLICT (run, key) DO NOTHING`, run, key, value)
	if err != nil {
		return err
	}
	var stored string
	err = tx.QueryRow(ctx, `SELECT value FROM {p}tracking_param WHERE run = ? AND key = ?`, run, key).Scan(&stored)
	if err == nil && stored != value {
		err = fault.Errorf(tracking.ErrAlreadyExists, "param %q is %q already and cannot become %q", key, stored, value)
	}
	return err
}

func logTags(ctx context.Context, tx *sqlstore.Tx, run int64, tags map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		_, err := tx.Exec(ctx, `INSERT INTO {p}tracking_tag (run, key, value) VALUES (?, ?, ?)
			ON CONFLICT (run, key) DO UPDATE SET value = excluded.value`, run, key, tags[key])
		if err != nil {
			return err
		}
	}
	return nil
}

func logInputs(ctx context.Context, tx *sqlstore.Tx, run int64, inputs []tracking.Input) error {
	inputs = slices.SortedStableFunc(slices.Values(inputs), func(a, b tracking.Input) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.Context, b.Context))
	})
	for _, in := range inputs {
		_, err := tx.Exec(ctx, `INSERT INTO {p}tracking_input (run, name, digest, context, source, row_count)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run, name, digest, context) DO NOTHING`,
			run, in.Name, in.Digest, in.Context, in.Source, in.Rows)
		if err != nil {
			return err
		}
	}
	return nil
}

func logArtifacts(ctx context.Context, tx *sqlstore.Tx, run int64, artifacts []tracking.Artifact) error {
	artifacts = slices.SortedStableFunc(slices.Values(artifacts), func(a, b tracking.Artifact) int { return cmp.Compare(a.Path, b.Path) })
	for _, a := range artifacts {
		_, err := tx.Exec(ctx, `INSERT INTO {p}tracking_artifact (run, path, digest, size) VALUES (?, ?, ?, ?)
			ON CONFLICT (run, path) DO UPDATE SET digest = excluded.digest, size = excluded.size`,
			run, a.Path, a.Digest, a.Size)
		if err != nil {
			return err
		}
	}
	return nil
}

func logMetrics(ctx context.Context, tx *sqlstore.Tx, run int64, points []tracking.Metric) error {
	latest := map[string]tracking.Metric{}
	for _, m := range points {
		if old, ok := latest[m.Key]; !ok || m.Compare(old) > 0 {
			latest[m.Key] = m
		}
	}
	keys := slices.Sorted(maps.Keys(latest))
	nums := make(map[string]int64, len(keys))
	for chunk := range slices.Chunk(keys, insertRows) {
		if err := upsertLatest(ctx, tx, run, chunk, latest); err != nil {
			return err
		}
		if err := metricNums(ctx, tx, run, chunk, nums); err != nil {
			return err
		}
	}
	// In the order of the table rows are put beside one another: that is quicker.
	points = slices.SortedFunc(slices.Values(points), func(a, b tracking.Metric) int {
		return cmp.Or(cmp.Compare(nums[a.Key], nums[b.Key]), a.Compare(b))
	})
	for chunk := range slices.Chunk(points, insertRows) {
		if err := insertPoints(ctx, tx, chunk, nums); err != nil {
			return err
		}
	}
	return nil
}

// upsertLatest makes the rows of the keys, or moves them to a later point. The
// comparison is in the statement, so that no other writer's point is lost.
func upsertLatest(ctx context.Context, tx *sqlstore.Tx, run int64, keys []string, latest map[string]tracking.Metric) error {
	args := make([]any, 0, 6*len(keys))
	for _, key := range keys {
		m := latest[key]
		isNumber, value := number(m.Value)
		args = append(args, run, key, m.Step, m.Time.UnixMilli(), isNumber, value)
	}
	_, err := tx.Exec(ctx, `INSERT INTO {p}tracking_metric AS old (run, key, step, time, is_number, value)
		VALUES `+tuples(len(keys), 6)+`
		ON CONFLICT (run, key) DO UPDATE
		SET step = excluded.step, time = excluded.time, is_number = excluded.is_number, value = excluded.value
		WHERE (excluded.step, excluded.time, excluded.is_number, excluded.value) > (old.step, old.time, old.is_number, old.value)`, args...)
	return err
}

// metricNums adds the numbers of the keys' rows to nums.
func metricNums(ctx context.Context, tx *sqlstore.Tx, run int64, keys []string, nums map[string]int64) error {
	_, err := sqlstore.Select(ctx, tx, func(row sqlstore.Scanner) (struct{}, error) {
		var key string
		var num int64
		err := row.Scan(&key, &num)
		nums[key] = num
		return struct{}{}, err
	}, `SELECT key, num FROM {p}tracking_metric WHERE run = ? AND key IN (`+marks(len(keys))+`)`, append([]any{run}, anys(keys)...)...)
	return err
}

func insertPoints(ctx context.Context, tx *sqlstore.Tx, points []tracking.Metric, nums map[string]int64) error {
	args := make([]any, 0, 5*len(points))
	for _, m := range points {
		isNumber, value := number(m.Value)
		args = append(args, nums[m.Key], m.Step, m.Time.UnixMilli(), isNumber, value)
	}
	_, err := tx.Exec(ctx, `INSERT INTO {p}tracking_point (metric, step, time, is_number, value)
		VALUES `+tuples(len(points), 5)+` ON CONFLICT DO NOTHING`, args...)
	return err
}

// number splits a value into what SQL can store; see the migration.
func number(v float64) (isNumber int, value float64) {
	if math.IsNaN(v) {
		return 0, 0
	}
	return 1, v
}

// tuples returns n tuples of k question marks.
func tuples(n, k int) string {
	return strings.TrimSuffix(strings.Repeat(`(`+marks(k)+`),`, n), `,`)
}

// marks returns n question marks.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat(`?,`, n), `,`) }

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
