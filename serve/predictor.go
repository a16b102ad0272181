package serve

import (
	"context"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train/frame"
)

// Predictor answers batches: one tensor a named input, each with the batch as
// its first dimension, and the same for outputs. Implementations are safe for
// concurrent use and keep none of the tensors they are given.
type Predictor interface {
	// Signature says what Predict takes and gives.
	Signature() bundle.Signature
	// Predict answers a batch whose tensors have been checked against the signature.
	Predict(ctx context.Context, inputs []frame.Tensor) ([]frame.Tensor, error)
}

// The outputs of a classifier: what the prediction log and the monitor read.
const (
	LabelOutput       = "label"       // shape [-1]
	ProbabilityOutput = "probability" // FP64, shape [-1, classes]
)

// Observer is told of every row that was answered or could not be, and again
// of every label that is stored, on the request path: it must be quick and must
// not block; its panic is logged once, counted, and reaches nobody. Shadow
// answers are not shown, and a request that is sent again is: only the log knows
// it. drift.Monitor is one. A loop's monitor is fed by the prediction log instead.
type Observer interface {
	Observe(o frame.Observation)
}
