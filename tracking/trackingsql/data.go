package trackingsql

import (
	"context"
	"database/sql"
	"math"

	"github.com/mlloop/mlloop/tracking"
)

// row scans the columns of a row into dest, and returns the run that it is of.
type row func(dest ...any) (*tracking.RunRecord, error)

// dataTable is a table of what was logged to runs.
type dataTable struct {
	name    string // after the prefix
	columns string // that add scans
	order   string
	add     func(row) error // adds a row to its run
}

func dataTables() []dataTable {
	return []dataTable{
		{"tracking_param", "key, value", "key", addParam},
		{"tracking_tag", "key, value", "key", addTag},
		{"tracking_input", "name, digest, context, source, row_count", "name, digest, context", addInput},
		{"tracking_artifact", "path, digest, size", "path", addArtifact},
		{"tracking_metric", "key, step, time, is_number, value", "key", addLatest},
	}
}

// loadData fills in the data of runs, which have the numbers nums: one query a
// table, not one a run.
func (s *Store) loadData(ctx context.Context, tx *sql.Tx, nums []int64, runs []tracking.RunRecord) error {
	byNum := make(map[int64]*tracking.RunRecord, len(nums))
	for i, num := range nums {
		byNum[num] = &runs[i]
	}
	for _, table := range dataTables() {
		rows, err := tx.QueryContext(ctx, s.q(`SELECT run, `+table.columns+` FROM {p}`+table.name+
			` WHERE run IN (`+marks(len(nums))+`) ORDER BY run, `+table.order), anys(nums)...)
		if err != nil {
			return err
		}
		of := func(dest ...any) (*tracking.RunRecord, error) {
			var num int64
			err := rows.Scan(append([]any{&num}, dest...)...)
			return byNum[num], err
		}
		if err := scan(rows, func() error { return table.add(of) }); err != nil {
			return err
		}
	}
	return nil
}

func addParam(of row) error {
	var key, value string
	run, err := of(&key, &value)
	if err == nil {
		run.Params[key] = value
	}
	return err
}

func addTag(of row) error {
	var key, value string
	run, err := of(&key, &value)
	if err == nil {
		run.Tags[key] = value
	}
	return err
}

func addInput(of row) error {
	var in tracking.Input
	run, err := of(&in.Name, &in.Digest, &in.Context, &in.Source, &in.Rows)
	if err == nil {
		run.Inputs = append(run.Inputs, in)
	}
	return err
}

func addArtifact(of row) error {
	var a tracking.Artifact
	run, err := of(&a.Path, &a.Digest, &a.Size)
	if err == nil {
		run.Artifacts = append(run.Artifacts, a)
	}
	return err
}

func addLatest(of row) error {
	var p point
	var key string
	run, err := of(&key, &p.step, &p.millis, &p.isNumber, &p.value)
	if err == nil {
		run.Metrics[key] = p.metric(key)
	}
	return err
}

// point is a metric's point as the tables hold it.
type point struct {
	step, millis int64
	isNumber     bool
	value        float64
}

func (p point) metric(key string) tracking.Metric {
	if !p.isNumber {
		p.value = math.NaN()
	}
	return tracking.Metric{Key: key, Value: p.value, Step: p.step, Time: timeOf(p.millis)}
}
