package retrain

import (
	"context"
	"fmt"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
)

// SmokeTest passes a challenger that a fresh loader can load and that answers
// the held-out rows one at a time as it answers them in one batch.
func SmokeTest() Gate { return smokeTest{} }

type smokeTest struct{}

func (smokeTest) Name() string { return "smoke test" }

// smokeRows is how many rows the smoke test asks about.
const smokeRows = 32

// smokeTolerance is the largest difference between a row's score alone and in a batch.
const smokeTolerance = 1e-6

func (g smokeTest) Judge(ctx context.Context, c Candidate) (Verdict, error) {
	load := c.Load
	if load == nil {
		load = serve.NewClassifier
	}
	p, err := load(c.Bundle)
	if err != nil {
		return Verdict{}, fmt.Errorf("load the challenger: %w", err)
	}
	defer closePredictor(p)
	own, err := classesOf(p)
	if err != nil {
		return Verdict{}, err
	}
	n := min(smokeRows, c.Rows.NumRows())
	if n == 0 {
		return Verdict{}, fault.Errorf(fault.Invalid, "no rows to ask about")
	}
	batch, err := probabilities(ctx, c.Predictor, c.Rows.Slice(0, n), len(own))
	if err != nil {
		return Verdict{}, err
	}
	for i := range n {
		alone, err := probabilities(ctx, p, c.Rows.Slice(i, i+1), len(own))
		if err != nil {
			return Verdict{}, fmt.Errorf("row %d: %w", i, err)
		}
		for j, prob := range alone {
			if other := batch[i*len(own)+j]; !(math.Abs(prob-other) <= smokeTolerance) { // NaN too
				return Verdict{Gate: g.Name(), Outcome: Fail, N: i + 1, Reason: fmt.Sprintf("row %d scores %g alone and %g in a batch", i, prob, other)}, nil
			}
		}
	}
	return Verdict{Gate: g.Name(), Outcome: Pass, N: n, Reason: fmt.Sprintf("%d rows answered alike alone and in a batch", n)}, nil
}
