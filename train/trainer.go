package train

import (
	"context"
	"runtime"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrInvalid     = fault.Invalid
	ErrUnavailable = fault.Unavailable
)

// Trainer fits a model and packs all that serving needs into a bundle: the
// weights, the fitted feature pipeline, the signature, the reference profile
// and an evaluation. Equal jobs give equal bundles. Implementations are safe
// for concurrent use.
type Trainer interface {
	// Fit runs one job. It logs to job.Run but does not end it. It returns soon after
	// ctx ends, and uses no more than job.MaxProcs processors. Errors: Invalid for a
	// job that cannot be fitted, and ctx's error when ctx ends first.
	Fit(ctx context.Context, job Job) (*bundle.Bundle, error)
}

// Job is one fit.
type Job struct {
	Data     *frame.Table     // rows in the order of time, the label included
	Label    string           // the column to predict: String, Int64 or Bool
	Inputs   []string         // the columns that the model sees; nil: all but the label
	Features feature.Pipeline // fitted on the training rows only
	Seed     uint64
	Now      time.Time     // stamped on the bundle
	Run      *tracking.Run // what the fit logs to; nil: nothing is logged

	// ProfileWindow is the number of rows in the windows that will later be
	// compared with the reference profile; drift thresholds are calibrated for it.
	// 0: an eighth of the rows, at least 5 and at most 336.
	ProfileWindow int

	// Procs is how many processors the fit may use at once, the math libraries that it
	// calls included, so that it can run beside traffic. The result does not depend on
	// it. 0: a quarter of runtime.GOMAXPROCS(0), rounded down, but at least 1.
	Procs int
}

// MaxProcs returns Procs, or its default.
func (j Job) MaxProcs() int {
	if j.Procs != 0 {
		return j.Procs
	}
	return max(1, runtime.GOMAXPROCS(0)/4)
}

// columns returns Inputs, or its default.
func (j Job) columns() []string {
	if j.Inputs != nil {
		return j.Inputs
	}
	var names []string
	for _, f := range j.Data.Schema() {
		if f.Name != j.Label {
			names = append(names, f.Name)
		}
	}
	return names
}

// profileWindow returns ProfileWindow, or its default.
func (j Job) profileWindow() int {
	if j.ProfileWindow != 0 {
		return j.ProfileWindow
	}
	return max(5, min(336, j.Data.NumRows()/8))
}

// check reports everything that is wrong with the job but the values in its rows.
func (j Job) check() error {
	var problems fault.Problems
	if j.Now.IsZero() {
		problems.Addf("Now is not set: it is stamped on the bundle")
	}
	if j.Procs < 0 {
		problems.Addf("Procs is %d, want at least 1, or 0 for a quarter of the processors", j.Procs)
	}
	if j.Data == nil || j.Data.NumRows() == 0 {
		problems.Addf("there are no rows")
		return problems.Err()
	}
	schema := j.Data.Schema()
	switch i := schema.Index(j.Label); {
	case i < 0:
		problems.Addf("the data has no label column %q", j.Label)
	case schema[i].Kind != frame.Int64 && schema[i].Kind != frame.String && schema[i].Kind != frame.Bool:
		problems.Addf("label column %q is %s, want %s, %s or %s: a class is no measurement",
			j.Label, schema[i].Kind, frame.Int64, frame.String, frame.Bool)
	}
	if len(j.columns()) == 0 {
		problems.Addf("there are no input columns")
	}
	seen := make(map[string]bool)
	for _, name := range j.columns() {
		switch {
		case name == j.Label:
			problems.Addf("the label %q is among the inputs", name)
		case schema.Index(name) < 0:
			problems.Addf("the data has no input column %q", name)
		case seen[name]:
			problems.Addf("input column %q is named twice", name)
		}
		seen[name] = true
	}
	if rows, window := j.Data.NumRows(), j.profileWindow(); window < 1 || rows < 2*window {
		problems.Addf("%d rows are fewer than two profile windows of %d", rows, window)
	}
	return problems.Err()
}
