package train

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/profile"
)

// ClassifierFlavor is the flavor of the bundles that Pack makes.
const ClassifierFlavor = "mlloop.classifier"

// Result is what a fit found. The classifier reads what Features gives.
type Result struct {
	Classifier *model.Classifier
	Features   *feature.Fitted
	Evaluation metric.Evaluation // on rows that the classifier was not fitted on
	Metadata   map[string]string // added to Pack's own; may be nil
}

// Pack makes the bundle of a fitted classifier: model.json and
// weights.safetensors, features.json, evaluation.json, and profile.json, the
// reference profile of the job's input columns over all of its rows.
//
// The signature has one tensor for each input column, of shape [-1], and the
// outputs "label", of the classes' kind and shape [-1], and "probability", FP64
// of shape [-1, classes], in ascending order of the classes. The metadata names
// the label, the seed, the number of rows and their digest.
//
// Equal arguments give equal bundles. Errors: Invalid for a job or a result
// that is incomplete, or whose parts do not fit one another.
func Pack(job Job, r Result) (*bundle.Bundle, error) {
	b, err := pack(job, r)
	if err != nil {
		return nil, fmt.Errorf("train: pack: %w", err)
	}
	return b, nil
}

func pack(job Job, r Result) (*bundle.Bundle, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	if r.Classifier == nil || r.Features == nil {
		return nil, fault.Errorf(fault.Invalid, "the result lacks its classifier or its features")
	}
	var names []string
	for _, f := range r.Features.Inputs() {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, job.columns()) {
		return nil, fault.Errorf(fault.Invalid, "the features were fitted on the columns %q, the job's inputs are %q", names, job.columns())
	}
	if width := r.Features.Width(); width != r.Classifier.Inputs() {
		return nil, fault.Errorf(fault.Invalid, "the features give %d numbers a row, the classifier reads %d", width, r.Classifier.Inputs())
	}
	parts, err := encodeParts(job, r)
	if err != nil {
		return nil, err
	}
	metadata := map[string]string{
		"label":       job.Label,
		"seed":        strconv.FormatUint(job.Seed, 10),
		"rows":        strconv.Itoa(job.Data.NumRows()),
		"data_digest": job.Data.Digest(),
	}
	maps.Copy(metadata, r.Metadata)
	return bundle.New(bundle.Spec{
		Flavor:    ClassifierFlavor,
		CreatedAt: job.Now,
		Signature: signature(r),
		Metadata:  metadata,
	}, parts)
}

func encodeParts(job Job, r Result) (map[string][]byte, error) {
	architecture, weights, err := r.Classifier.Encode()
	if err != nil {
		return nil, err
	}
	features, err := r.Features.Marshal()
	if err != nil {
		return nil, err
	}
	evaluation, err := r.Evaluation.Marshal()
	if err != nil {
		return nil, err
	}
	reference, err := profile.New(job.Data, job.columns(), &profile.Options{Window: job.profileWindow()})
	if err != nil {
		return nil, err
	}
	summary, err := reference.Marshal()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		bundle.ModelPart:      architecture,
		bundle.WeightsPart:    weights,
		bundle.FeaturesPart:   features,
		bundle.EvaluationPart: evaluation,
		bundle.ProfilePart:    summary,
	}, nil
}

func signature(r Result) bundle.Signature {
	var s bundle.Signature
	for _, f := range r.Features.Inputs() {
		s.Inputs = append(s.Inputs, bundle.TensorSpec{Name: f.Name, Datatype: string(f.Kind.Datatype()), Shape: []int64{-1}})
	}
	classes := r.Classifier.Classes
	s.Outputs = []bundle.TensorSpec{
		{Name: "label", Datatype: string(classes[0].Kind().Datatype()), Shape: []int64{-1}},
		{Name: "probability", Datatype: string(frame.FP64), Shape: []int64{-1, int64(len(classes))}},
	}
	return s
}
