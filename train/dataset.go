package train

import (
	"fmt"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// maxClasses bounds the distinct labels: beyond it the label is more likely an
// identifier.
const maxClasses = 1000

// Part is rows as a classifier reads them.
type Part struct {
	X frame.Matrix // rows × features
	Y []int32      // each row's index in Dataset.Classes
}

// Dataset is a job's data, ready to be fitted. It is read-only once made, and
// then safe for concurrent use.
type Dataset struct {
	Features   *feature.Fitted // fitted on the rows of Train
	Classes    []frame.Value   // the labels of all rows, ascending
	Train      Part            // the earlier rows
	Validation Part            // the latest rows; empty when nothing was held out
}

// Prepare checks a job, holds out the latest share of its rows (rounded down)
// for validation, fits the feature pipeline on the others, and turns both into
// numbers. With a share of 0 nothing is held out. Errors: Invalid, for all that
// is wrong with the job; a label that is missing; one class only, or more than
// 1,000; too few rows for the share; and what feature.Pipeline.Fit and Transform
// report, such as a missing value without Impute.
func Prepare(job Job, validation float64) (*Dataset, error) {
	d, err := prepare(job, validation)
	if err != nil {
		return nil, fmt.Errorf("train: prepare: %w", err)
	}
	return d, nil
}

func prepare(job Job, validation float64) (*Dataset, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	if !(validation >= 0 && validation < 1) { // a NaN, too
		return nil, fault.Errorf(fault.Invalid, "a validation share of %v, want 0 ≤ share < 1", validation)
	}
	rows := job.Data.NumRows()
	cut := rows - int(float64(rows)*validation)
	if cut < 2 || (validation > 0 && cut == rows) {
		return nil, fault.Errorf(fault.Invalid, "%d rows are too few to hold out a share of %v for validation", rows, validation)
	}
	d := &Dataset{}
	y, err := d.encodeLabels(job)
	if err != nil {
		return nil, err
	}
	if slices.Min(y[:cut]) == slices.Max(y[:cut]) {
		return nil, fault.Errorf(fault.Invalid, "all %d training rows have the label %q: there is nothing to tell apart",
			cut, d.Classes[y[0]].Text())
	}
	train := job.Data.Slice(0, cut)
	if d.Features, err = job.Features.Fit(train, job.columns()); err != nil {
		return nil, err
	}
	d.Train.Y, d.Validation.Y = y[:cut:cut], y[cut:]
	if d.Train.X, err = d.Features.Transform(train); err != nil {
		return nil, err
	}
	d.Validation.X = frame.NewMatrix(0, d.Features.Width())
	if cut < rows {
		d.Validation.X, err = d.Features.Transform(job.Data.Slice(cut, rows))
	}
	return d, err
}

// encodeLabels finds the classes and returns each row's index in them.
func (d *Dataset) encodeLabels(job Job) ([]int32, error) {
	labels, err := job.Data.Values(job.Label)
	if err != nil {
		return nil, err
	}
	index := make(map[frame.Value]int32)
	for i, v := range labels {
		if v.IsNull() {
			return nil, fault.Errorf(fault.Invalid, "row %d has no label: drop the rows whose %q is missing", i, job.Label)
		}
		index[v] = 0
	}
	if len(index) > maxClasses {
		return nil, fault.Errorf(fault.Invalid, "label column %q has %d distinct values, at most %d are taken as classes: is it an identifier?",
			job.Label, len(index), maxClasses)
	}
	for v := range index {
		d.Classes = append(d.Classes, v)
	}
	slices.SortFunc(d.Classes, frame.Value.Compare)
	for i, v := range d.Classes {
		index[v] = int32(i)
	}
	y := make([]int32, len(labels))
	for i, v := range labels {
		y[i] = index[v]
	}
	return y, nil
}

// labels returns Y as train/metric takes it.
func (p Part) labels() []int {
	labels := make([]int, len(p.Y))
	for i, y := range p.Y {
		labels[i] = int(y)
	}
	return labels
}
