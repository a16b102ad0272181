package trackingsql

import (
	"context"
	"math"

	"github.com/mlloop/mlloop/sqlstore"
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
func loadData(ctx context.Context, tx *sqlstore.Tx, nums []int64, runs []tracking.RunRecord) error {
	byNum := make(map[int64]*tracking.RunRecord, len(nums))
	for i, num := range nums {
		byNum[num] = &runs[i]
	}
	for _, table := range dataTables() {
		_, err := sqlstore.Select(ctx, tx, func(columns sqlstore.Scanner) (struct{}, error) {
			return struct{}{}, table.add(func(dest ...any) (*tracking.RunRecord, error) {
				var num int64
				err := columns.Scan(append([]any{&num}, dest...)...)
				return byNum[num], err
			})
		}, `SELECT run, `+table.columns+` FROM {p}`+table.name+
			` WHERE run IN (`+marks(len(nums))+`) ORDER BY run, `+table.order, anys(nums)...)
		if err != nil {
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
	var key string
	var p point
	run, err := of(append([]any{&key}, p.columns()...)...)
	if err == nil {
		run.Metrics[key] = p.metric(key)
	}
	return err
}

// point is a metric's point as the tables hold it.
type point struct {
	tracking.Metric
	isNumber bool
}

func (p *point) columns() []any {
	return []any{&p.Step, sqlstore.Millis(&p.Time), &p.isNumber, &p.Value}
}

func (p *point) metric(key string) tracking.Metric {
	m := p.Metric
	m.Key = key
	if !p.isNumber {
		m.Value = math.NaN()
	}
	return m
}
