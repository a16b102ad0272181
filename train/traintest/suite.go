package traintest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/profile"
)

// Options say what a trainer does differently from most. Nil is the zero value.
type Options struct {
	// AllRows is for a trainer that fits the feature pipeline on all rows. Others are
	// checked to hold out at least the latest twentieth of them.
	AllRows bool
}

// Run checks a Trainer whose bundles are of the flavor train.ClassifierFlavor
// against the interface's contract. newTrainer is called once a case.
func Run(t *testing.T, newTrainer func(t *testing.T) train.Trainer, opts *Options) {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	for _, c := range cases(*opts) {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.explanation)
			c.run(t, newTrainer(t))
		})
	}
}

type testCase struct {
	name, explanation string
	run               func(t *testing.T, trainer train.Trainer)
}

func cases(opts Options) []testCase {
	all := []testCase{
		{"Learns", "later rows of a separable problem are mostly answered right", learns},
		{"Complete", "the bundle holds every part, each of them whole, and they fit one another", complete},
		{"Labels", "labels are text, whole numbers or bools, of two classes or more", labels},
		{"Inputs", "the model sees the named inputs and no other column", inputs},
		{"EqualJobs", "equal jobs give equal bundles, also side by side", equalJobs},
		{"Seed", "another seed gives another bundle", seed},
		{"Evaluation", "the evaluation is true of rows that the model was not fitted on", evaluation},
		{"Run", "a tracking run is told of the data and is left running", tracked},
		{"Context", "a fit whose context has ended returns the context's error", cancelled},
		{"BadJobs", "a job that is incomplete or contradicts itself is Invalid", badJobs},
		{"BadRows", "rows that cannot be fitted are an error", badRows},
		{"SmallJobs", "a job of few rows is fitted or refused, without a panic", smallJobs},
	}
	if !opts.AllRows {
		all = append(all, testCase{"NoLookAhead",
			"the latest twentieth of the rows, on which the fit is judged, does not shape the features", noLookAhead})
	}
	return all
}

// opened is a bundle's parts, decoded.
type opened struct {
	classifier *model.Classifier
	features   *feature.Fitted
	profile    *profile.Profile
	evaluation metric.Evaluation
}

// open decodes every part of a bundle, failing the test where one is damaged.
func open(t *testing.T, b *bundle.Bundle) opened {
	t.Helper()
	part := func(name string) []byte {
		data, err := b.ReadFile(name)
		require.NoError(t, err)
		return data
	}
	var o opened
	var err error
	o.classifier, err = model.Decode(part(bundle.ModelPart), part(bundle.WeightsPart))
	require.NoError(t, err)
	o.features, err = feature.Decode(part(bundle.FeaturesPart))
	require.NoError(t, err)
	o.profile, err = profile.Decode(part(bundle.ProfilePart))
	require.NoError(t, err)
	o.evaluation, err = metric.DecodeEvaluation(part(bundle.EvaluationPart))
	require.NoError(t, err)
	return o
}

// accuracy returns the share of the rows that the bundle's model answers right.
func (o opened) accuracy(t *testing.T, rows *frame.Table, label string) float64 {
	t.Helper()
	x, err := o.features.Transform(rows)
	require.NoError(t, err)
	p, err := o.classifier.Probabilities(nil, x)
	require.NoError(t, err)
	labels, err := rows.Values(label)
	require.NoError(t, err)
	right, k := 0, len(o.classifier.Classes)
	for i, want := range labels {
		best := 0
		for j := range k {
			if p[i*k+j] > p[i*k+best] {
				best = j
			}
		}
		if o.classifier.Classes[best] == want {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// fit fails the test when the job cannot be fitted.
func fit(t *testing.T, trainer train.Trainer, job train.Job) *bundle.Bundle {
	t.Helper()
	b, err := trainer.Fit(t.Context(), job)
	require.NoError(t, err)
	require.NotNil(t, b)
	return b
}
