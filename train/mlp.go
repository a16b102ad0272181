package train

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/model"
)

// MLP is a Trainer of feed-forward classifiers: dense layers with a softmax at
// the end, fitted by Adam on mini-batches of the cross-entropy, on the calling
// goroutine alone, so that it uses one processor whatever Job.Procs permits. It
// holds out the latest rows, stops when the loss on them no longer falls, and
// keeps the weights at which it was lowest. Standardize the inputs in the job's
// feature pipeline: the settings' defaults are for numbers near 1.
//
// Same job, same bundle, on machines of one architecture. The zero value is
// ready to use; an MLP is safe for concurrent use.
type MLP struct {
	Hidden     []int            // outputs of each hidden layer; nil: 32, 16; empty: none, which is logistic regression
	Activation model.Activation // of the hidden layers; "": model.ReLU
	Epochs     int              // passes over the training rows, at most; 0: 60
	Batch      int              // rows in a mini-batch; the last one of an epoch may be shorter; 0: 128

	LearningRate float64 // of the first epoch; 0: 0.003
	Decay        float64 // factor on the learning rate after each epoch, up to 1; 0: 1
	WeightDecay  float64 // decoupled, times the learning rate, biases included; 0: none

	Validation float64 // share of the rows, the latest ones, that is held out; 0: 0.1
	Patience   int     // epochs without a lower validation loss after which the fit ends; 0: 8

	// Refit fits a second time, from scratch, on all rows, the held-out ones too, for
	// as many epochs as were best. Where the newest rows tell most, it is worth its
	// time. The evaluation in the bundle is then that of the first fit.
	Refit bool
}

// withDefaults returns the settings with each zero replaced by its default.
func (m MLP) withDefaults() MLP {
	if m.Hidden == nil {
		m.Hidden = []int{32, 16}
	}
	m.Activation = cmp.Or(m.Activation, model.ReLU)
	m.Epochs = cmp.Or(m.Epochs, 60)
	m.Batch = cmp.Or(m.Batch, 128)
	m.LearningRate = cmp.Or(m.LearningRate, 0.003)
	m.Decay = cmp.Or(m.Decay, 1)
	m.Validation = cmp.Or(m.Validation, 0.1)
	m.Patience = cmp.Or(m.Patience, 8)
	return m
}

// Check reports everything that is wrong with the settings, in one Invalid error.
// Fit does so too; Check needs no data.
func (m MLP) Check() error {
	if err := m.withDefaults().check(); err != nil {
		return fmt.Errorf("train: mlp: %w", err)
	}
	return nil
}

// check is Check with the defaults filled in. Comparisons are written so that a
// NaN fails them.
func (m MLP) check() error {
	var problems fault.Problems
	for i, width := range m.Hidden {
		if width < 1 || width > 1<<16 {
			problems.Addf("Hidden[%d] is %d, want 1 to %d", i, width, 1<<16)
		}
	}
	if m.Activation != model.ReLU && m.Activation != model.Tanh && m.Activation != model.Identity {
		problems.Addf("Activation is %q, want %q, %q or %q", m.Activation, model.ReLU, model.Tanh, model.Identity)
	}
	if m.Epochs < 1 || m.Batch < 1 || m.Patience < 1 {
		problems.Addf("Epochs, Batch and Patience are %d, %d and %d, want at least 1 each", m.Epochs, m.Batch, m.Patience)
	}
	if !(m.LearningRate > 0 && m.LearningRate <= 100) {
		problems.Addf("LearningRate is %v, want more than 0 and at most 100", m.LearningRate)
	}
	if !(m.Decay > 0 && m.Decay <= 1) {
		problems.Addf("Decay is %v, want more than 0 and at most 1", m.Decay)
	}
	if !(m.WeightDecay >= 0 && m.WeightDecay*m.LearningRate < 1) {
		problems.Addf("WeightDecay is %v, want at least 0 and below 1/LearningRate", m.WeightDecay)
	}
	if !(m.Validation > 0 && m.Validation < 1) {
		problems.Addf("Validation is %v, want more than 0 and less than 1", m.Validation)
	}
	return problems.Err()
}

// Fit fits a classifier. To job.Run it logs the settings and the job as params,
// the data as an input, and as metrics: with the epoch as their step train_loss,
// validation_loss and validation_accuracy (losses in nats a row; refit_loss when
// refitting), and at the end each result of the evaluation under its own name,
// with its interval under the name and _low and _high.
//
// Errors: Invalid for settings out of range, a job that Prepare refuses, and a
// loss that grows beyond all numbers; ctx's error, noticed between mini-batches
// and between the other parts of the work.
func (m MLP) Fit(ctx context.Context, job Job) (*bundle.Bundle, error) {
	b, err := m.withDefaults().fit(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("train: fit mlp: %w", err)
	}
	return b, nil
}

// fit is Fit with the defaults filled in.
func (m MLP) fit(ctx context.Context, job Job) (*bundle.Bundle, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	data, err := prepare(job, m.Validation)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.logParams(job, data)
	best, err := m.search(ctx, job, data)
	if err != nil {
		return nil, err
	}
	evaluation, err := evaluate(best.classifier, data.Validation)
	if err != nil {
		return nil, err
	}
	logEvaluation(job.Run, evaluation, int64(best.epochs))
	result := Result{Classifier: best.classifier, Features: data.Features, Evaluation: evaluation}
	if m.Refit {
		if data, err = prepare(job, 0); err != nil {
			return nil, err
		}
		if result.Classifier, err = m.refit(ctx, job, data, best.epochs); err != nil {
			return nil, err
		}
		result.Features = data.Features
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	result.Metadata = map[string]string{
		"trainer": "mlp",
		"epochs":  strconv.Itoa(best.epochs),
		"refit":   strconv.FormatBool(m.Refit),
	}
	return pack(job, result)
}

func (m MLP) logParams(job Job, data *Dataset) {
	logJob(job, map[string]string{
		"trainer":             "mlp",
		"hidden":              strings.Trim(fmt.Sprint(m.Hidden), "[]"),
		"activation":          string(m.Activation),
		"epochs":              strconv.Itoa(m.Epochs),
		"batch":               strconv.Itoa(m.Batch),
		"learning_rate":       formatFloat(m.LearningRate),
		"learning_rate_decay": formatFloat(m.Decay),
		"weight_decay":        formatFloat(m.WeightDecay),
		"validation":          formatFloat(m.Validation),
		"patience":            strconv.Itoa(m.Patience),
		"refit":               strconv.FormatBool(m.Refit),
		"classes":             strconv.Itoa(len(data.Classes)),
		"training_rows":       strconv.Itoa(data.Train.X.Rows),
		"validation_rows":     strconv.Itoa(data.Validation.X.Rows),
	})
}

// logJob logs what every trainer knows of its job, and its own params.
func logJob(job Job, params map[string]string) {
	job.Run.LogParams(params)
	job.Run.LogParams(map[string]string{
		"label": job.Label,
		"seed":  strconv.FormatUint(job.Seed, 10),
		"rows":  strconv.Itoa(job.Data.NumRows()),
	})
	job.Run.LogInput(tracking.Input{
		Name: "rows", Digest: job.Data.Digest(), Context: "training", Rows: int64(job.Data.NumRows()),
	})
}

func logEvaluation(run *tracking.Run, e metric.Evaluation, step int64) {
	for _, r := range e.Results {
		run.LogMetric(r.Name, r.Value, step)
		run.LogMetric(r.Name+"_low", r.Low, step)
		run.LogMetric(r.Name+"_high", r.High, step)
	}
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// evaluate measures a classifier on rows that it was not fitted on.
func evaluate(c *model.Classifier, part Part) (metric.Evaluation, error) {
	p, err := c.Probabilities(nil, part.X)
	if err != nil {
		return metric.Evaluation{}, err
	}
	return metric.Evaluate(metric.Scores{Labels: part.labels(), Probabilities: p, Classes: len(c.Classes)}, nil)
}
