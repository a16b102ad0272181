package traintest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/model"
)

// Fake is a Trainer for the tests of code that fits models. It needs one pass
// over the rows: a row belongs to the class whose mean row is nearest. Its
// bundles are complete and can be served; equal jobs give equal ones. The latest
// tenth of the rows is held out, as train.MLP does. The zero value is ready to
// use; a Fake is safe for concurrent use.
type Fake struct {
	mu   sync.Mutex
	jobs []train.Job
	err  error
}

// Fit fits and packs one job, or returns the error that FailWith set.
func (f *Fake) Fit(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
	f.mu.Lock()
	f.jobs = append(f.jobs, job)
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("traintest: fit: %w", err)
	}
	data, err := train.Prepare(job, 0.1)
	if err != nil {
		return nil, err
	}
	job.Run.LogParam("trainer", "fake")
	c := nearestMean(data)
	p, err := c.Probabilities(nil, data.Validation.X)
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(data.Validation.Y))
	for i, y := range data.Validation.Y {
		labels[i] = int(y)
	}
	e, err := metric.Evaluate(metric.Scores{Labels: labels, Probabilities: p, Classes: len(data.Classes)}, nil)
	if err != nil {
		return nil, err
	}
	for _, r := range e.Results {
		job.Run.LogMetric(r.Name, r.Value, 0)
	}
	return train.Pack(job, train.Result{
		Classifier: c, Features: data.Features, Evaluation: e,
		Metadata: map[string]string{"trainer": "fake"},
	})
}

// FailWith makes later fits return err; nil makes them succeed again.
func (f *Fake) FailWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// Jobs returns the jobs that Fit was called with, in the order of the calls,
// failed ones included.
func (f *Fake) Jobs() []train.Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.jobs)
}

// nearestMean returns the linear classifier that scores a row x for a class of
// mean m by m·x - m·m/2, which is greatest for the nearest mean. A class without
// training rows scores below all others near them.
func nearestMean(data *train.Dataset) *model.Classifier {
	k, width := len(data.Classes), data.Train.X.Cols
	means, counts := make([]float64, k*width), make([]float64, k)
	for i, y := range data.Train.Y {
		counts[y]++
		for j, v := range data.Train.X.Row(i) {
			means[int(y)*width+j] += float64(v)
		}
	}
	layer := model.Dense{In: width, Out: k, W: make([]float32, width*k), B: make([]float32, k), Activation: model.Identity}
	for c := range k {
		if counts[c] == 0 {
			layer.B[c] = -1e6
			continue
		}
		var square float64
		for j := range width {
			mean := means[c*width+j] / counts[c]
			square += mean * mean
			layer.W[j*k+c] = float32(mean)
		}
		layer.B[c] = float32(-square / 2)
	}
	return &model.Classifier{Layers: []model.Dense{layer}, Classes: slices.Clone[[]frame.Value](data.Classes)}
}
