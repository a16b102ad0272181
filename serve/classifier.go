package serve

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
)

// classifierFlavor is the flavor that train writes for its classifiers.
const classifierFlavor = "mlloop.classifier"

// predictor loads a bundle by its flavor.
func (s *Server) predictor(b *bundle.Bundle) (Predictor, string, error) {
	flavor := b.Manifest().Flavor
	load := s.opts.Flavors[flavor]
	if load == nil && flavor == classifierFlavor {
		load = NewClassifier
	}
	if load == nil {
		return nil, "", fault.Errorf(fault.Unsupported, "no loader for flavor %q: add one to Options.Flavors", flavor)
	}
	p, err := load(b)
	if err == nil && p == nil {
		err = fault.Errorf(fault.Invalid, "the loader returned no predictor")
	}
	if err != nil {
		return nil, "", fmt.Errorf("flavor %s: %w", flavor, err)
	}
	return p, strings.ReplaceAll(flavor, ".", "_"), nil
}

// classifier runs the bundles that train writes: the fitted feature pipeline,
// then the network's forward pass.
type classifier struct {
	signature bundle.Signature
	features  *feature.Fitted
	network   *model.Classifier
	label     frame.Datatype
}

// NewClassifier returns the Predictor of a bundle of flavor "mlloop.classifier":
// model.json, weights.safetensors and features.json. Its outputs are "label",
// the most probable class ([n]; ties go to the earlier class), and
// "probability" (FP64, [n, classes]). Errors: Corrupt when a part is damaged or
// they do not fit one another, Unsupported when a newer release wrote them.
func NewClassifier(b *bundle.Bundle) (Predictor, error) {
	parts := map[string][]byte{}
	for _, name := range []string{bundle.ModelPart, bundle.WeightsPart, bundle.FeaturesPart} {
		data, err := b.ReadFile(name)
		if err != nil {
			return nil, err
		}
		parts[name] = data
	}
	network, err := model.Decode(parts[bundle.ModelPart], parts[bundle.WeightsPart])
	if err != nil {
		return nil, err
	}
	features, err := feature.Decode(parts[bundle.FeaturesPart])
	if err != nil {
		return nil, err
	}
	c := &classifier{signature: b.Signature(), features: features, network: network}
	c.label = network.Classes[0].Kind().Datatype() // Decode has checked that there are classes of one kind
	return c, c.check()
}

// check reports whether the parts belong together.
func (c *classifier) check() error {
	var problems fault.Problems
	if c.features.Width() != c.network.Inputs() {
		problems.Addf("%s makes %d columns, the network reads %d", bundle.FeaturesPart, c.features.Width(), c.network.Inputs())
	}
	var inputs []bundle.TensorSpec
	for _, f := range c.features.Inputs() {
		inputs = append(inputs, bundle.TensorSpec{Name: f.Name, Datatype: string(f.Kind.Datatype()), Shape: []int64{-1}})
	}
	outputs := []bundle.TensorSpec{
		{Name: LabelOutput, Datatype: string(c.label), Shape: []int64{-1}},
		{Name: ProbabilityOutput, Datatype: string(frame.FP64), Shape: []int64{-1, int64(len(c.network.Classes))}},
	}
	if !slices.EqualFunc(inputs, c.signature.Inputs, equalSpecs) {
		problems.Addf("the signature's inputs are %s, %s reads %s", describe(c.signature.Inputs), bundle.FeaturesPart, describe(inputs))
	}
	if !slices.EqualFunc(outputs, c.signature.Outputs, equalSpecs) {
		problems.Addf("the signature's outputs are %s, the network gives %s", describe(c.signature.Outputs), describe(outputs))
	}
	if len(problems) > 0 {
		return fault.Errorf(fault.Corrupt, "the bundle's parts do not fit: %v", problems.Err())
	}
	return nil
}

func equalSpecs(a, b bundle.TensorSpec) bool {
	return a.Name == b.Name && a.Datatype == b.Datatype && slices.Equal(a.Shape, b.Shape)
}

// Signature implements Predictor.
func (c *classifier) Signature() bundle.Signature { return c.signature }

func (c *classifier) schema() frame.Schema { return c.features.Inputs() }

// Predict implements Predictor.
func (c *classifier) Predict(_ context.Context, inputs []frame.Tensor) ([]frame.Tensor, error) {
	rows, err := frame.RowsFromTensors(c.schema(), inputs)
	if err != nil {
		return nil, err
	}
	return c.predictRows(rows)
}

func (c *classifier) predictRows(rows []frame.Row) ([]frame.Tensor, error) {
	x, err := c.features.TransformRows(rows)
	if err != nil {
		return nil, err
	}
	p, err := c.network.Probabilities(nil, x)
	if err != nil {
		return nil, err
	}
	n, k := len(rows), len(c.network.Classes)
	best := make([]int, n)
	for i := range best {
		row := p[i*k : (i+1)*k]
		for j := range row {
			if row[j] > row[best[i]] {
				best[i] = j
			}
		}
	}
	return []frame.Tensor{
		{Name: LabelOutput, Datatype: c.label, Shape: []int64{int64(n)}, Data: c.labels(best)},
		{Name: ProbabilityOutput, Datatype: frame.FP64, Shape: []int64{int64(n), int64(k)}, Data: p},
	}, nil
}

// labels returns the classes as the slice of the label's datatype.
func (c *classifier) labels(best []int) any {
	switch c.label {
	case frame.BOOL:
		return pick(c.network.Classes, best, func(v frame.Value) bool { return v.Int() != 0 })
	case frame.INT64:
		return pick(c.network.Classes, best, frame.Value.Int)
	}
	return pick(c.network.Classes, best, frame.Value.Text)
}

func pick[T any](classes []frame.Value, best []int, get func(frame.Value) T) []T {
	out := make([]T, len(best))
	for i, j := range best {
		out[i] = get(classes[j])
	}
	return out
}
