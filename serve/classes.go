package serve

import (
	"slices"

	"github.com/mlloop/mlloop/train/frame"
)

// Classifier is a Predictor whose "probability" output has one column a class.
// The Predictor of NewClassifier is one.
type Classifier interface {
	Predictor
	// Classes returns the labels that Predict chooses from, in the order of the
	// columns of the "probability" output.
	Classes() []frame.Value
}

// Classes implements Classifier.
func (c *classifier) Classes() []frame.Value { return slices.Clone(c.network.Classes) }
