package train

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// Trainer fits a model and packs all that serving needs into a bundle: the
// weights, the fitted feature pipeline, the signature, the reference profile
// and an evaluation. Equal jobs give equal bundles. Implementations are safe
// for concurrent use.
type Trainer interface {
	Fit(ctx context.Context, job Job) (*bundle.Bundle, error)
}

// Job is one fit.
type Job struct {
	Data     *frame.Table     // rows in the order of time, the label included
	Label    string           // the column to predict: String, Int64 or Bool
	Inputs   []string         // the columns that the model sees; nil: all but the label
	Features feature.Pipeline // fitted on the training rows only
	Seed     uint64
	Now      time.Time     // stamped on the bundle and on metrics
	Run      *tracking.Run // what the fit logs to; nil: nothing is logged

	// ProfileWindow is the number of rows in the windows that will later be
	// compared with the reference profile; drift thresholds are calibrated for it.
	// 0: 336.
	ProfileWindow int
}
