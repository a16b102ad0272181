package model

import (
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// The largest classifier that is read or written; a damaged or hostile file
// is refused before memory is set aside for it.
const (
	maxLayers  = 256
	maxWidth   = 1 << 20
	maxWeights = 1 << 28
	maxClasses = 1 << 16
)

// Check reports, all at once, whatever keeps the classifier from being used:
// layers that do not fit one another, slices of the wrong length, unknown
// activations, weights that are not finite, classes that are fewer than two,
// doubled or of mixed kinds. Errors: Invalid.
func (c *Classifier) Check() error {
	var problems fault.Problems
	checkShape(&problems, c.Layers, c.Classes)
	for i := range c.Layers {
		d := &c.Layers[i]
		if len(d.W) != d.In*d.Out {
			problems.Addf("layer %d has %d weights, want %d×%d", i, len(d.W), d.In, d.Out)
		}
		if len(d.B) != d.Out {
			problems.Addf("layer %d has %d biases, want %d", i, len(d.B), d.Out)
		}
		if !finite(d.W) || !finite(d.B) {
			problems.Addf("layer %d has weights that are not finite", i)
		}
	}
	return problems.Err()
}

// checkShape checks everything but the weights.
func checkShape(problems *fault.Problems, layers []Dense, classes []frame.Value) {
	if len(layers) == 0 || len(layers) > maxLayers {
		problems.Addf("%d layers, want 1 to %d", len(layers), maxLayers)
		return
	}
	total := 0
	for i := range layers {
		d := &layers[i]
		if d.In < 1 || d.In > maxWidth || d.Out < 1 || d.Out > maxWidth {
			problems.Addf("layer %d is %d×%d, want 1 to %d each way", i, d.In, d.Out, maxWidth)
			continue
		}
		total = min(total+d.In*d.Out, 2*maxWeights)
		if i > 0 && d.In != layers[i-1].Out {
			problems.Addf("layer %d takes %d values, the one before gives %d", i, d.In, layers[i-1].Out)
		}
		if !d.Activation.known() {
			problems.Addf("layer %d has the unknown activation %q", i, d.Activation)
		}
	}
	if total > maxWeights {
		problems.Addf("more than %d weights", maxWeights)
	}
	if out := layers[len(layers)-1].Out; out != len(classes) {
		problems.Addf("the last layer gives %d scores for %d classes", out, len(classes))
	}
	checkClasses(problems, classes)
}

func checkClasses(problems *fault.Problems, classes []frame.Value) {
	if len(classes) < 2 || len(classes) > maxClasses {
		problems.Addf("%d classes, want 2 to %d", len(classes), maxClasses)
		return
	}
	kind := classes[0].Kind()
	if kind != frame.Int64 && kind != frame.String && kind != frame.Bool {
		problems.Addf("classes are of kind %q, want %s, %s or %s", kind, frame.Int64, frame.String, frame.Bool)
	}
	seen := make(map[frame.Value]bool, len(classes))
	for _, v := range classes {
		if v.Kind() != kind {
			problems.Addf("class %q is of kind %q, the first one of kind %q", v.Text(), v.Kind(), kind)
		}
		if seen[v] {
			problems.Addf("class %q is listed twice", v.Text())
		}
		seen[v] = true
	}
}

func finite(v []float32) bool {
	for _, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return false
		}
	}
	return true
}
