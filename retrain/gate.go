package retrain

import (
	"context"
	"fmt"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// Candidate is what gates judge: a challenger and the champion, both asked
// about the same rows, which are later than all that the challenger was fitted
// on.
type Candidate struct {
	Model      string
	Bundle     *bundle.Bundle // of the challenger
	Predictor  serve.Predictor
	Load       serve.Loader  // makes another Predictor of Bundle. nil: serve.NewClassifier
	Rows       *frame.Table  // the model's inputs and the label
	Classes    []frame.Value // of both, in the order of the scores: the champion's first
	Challenger metric.Scores // on Rows
	Champion   metric.Scores // on Rows
	Blocks     []int         // the day of each row: intervals are over whole days, as neighbouring rows are alike
	Seed       uint64
}

// Gate says whether a challenger may go on. Implementations are safe for
// concurrent use and depend on the candidate alone.
type Gate interface {
	// Name is shown in verdicts.
	Name() string
	// Check judges. An error means that it could not: the challenger does not pass.
	Check(ctx context.Context, c Candidate) (Verdict, error)
}

// NotWorse passes a challenger whose metric is at most margin worse than the
// champion's on the same rows. The verdict carries the interval of the
// difference: a bootstrap over whole days where there are ten, else over rows.
func NotWorse(name string, margin float64) Gate { return notWorse{name, margin} }

type notWorse struct {
	metric string
	margin float64
}

func (g notWorse) Name() string { return fmt.Sprintf("not worse: %s by %g", g.metric, g.margin) }

func (g notWorse) check(p *fault.Problems) { checkMetric(p, g.metric) }

func (g notWorse) Check(_ context.Context, c Candidate) (Verdict, error) {
	return comparePaired(g.Name(), g.metric, g.margin, c.Champion, c.Challenger, c.Blocks, c.Seed)
}

// comparePaired judges a challenger against a champion on the same rows.
func comparePaired(gate, name string, margin float64, champion, challenger metric.Scores, blocks []int, seed uint64) (Verdict, error) {
	m, err := metric.ByName(name)
	if err != nil {
		return Verdict{}, err
	}
	independent := ""
	if distinct(blocks) < leastBlocks {
		blocks, independent = nil, ", rows taken as independent"
	}
	d, err := metric.Difference(name, challenger, champion, &metric.Options{Blocks: blocks, Seed: seed})
	if err != nil {
		return Verdict{}, fmt.Errorf("%s: %w", gate, err)
	}
	v := Verdict{Gate: gate, Metric: name, Diff: d.Value, Low: d.Low, High: d.High, N: d.N}
	if m.HigherBetter {
		v.Pass = d.Value >= -margin
	} else {
		v.Pass = d.Value <= margin
	}
	v.Reason = fmt.Sprintf("%s differs by %+.4f [%+.4f, %+.4f] on %d rows%s", name, d.Value, d.Low, d.High, d.N, independent)
	return v, nil
}

// leastBlocks is how many days an interval over whole days needs: from fewer,
// resampling says little.
const leastBlocks = 10

func distinct(blocks []int) int {
	seen := make(map[int]bool)
	for _, b := range blocks {
		seen[b] = true
	}
	return len(seen)
}

// AtLeast passes a challenger whose metric on the held-out rows is on the good
// side of the floor: at or above it where higher is better, else at or below.
func AtLeast(name string, floor float64) Gate { return atLeast{name, floor} }

type atLeast struct {
	metric string
	floor  float64
}

func (g atLeast) Name() string { return fmt.Sprintf("at least: %s %g", g.metric, g.floor) }

func (g atLeast) check(p *fault.Problems) { checkMetric(p, g.metric) }

func (g atLeast) Check(_ context.Context, c Candidate) (Verdict, error) {
	m, err := metric.ByName(g.metric)
	if err != nil {
		return Verdict{}, err
	}
	r, err := m.Evaluate(c.Challenger, nil)
	if err != nil {
		return Verdict{}, fmt.Errorf("%s: %w", g.Name(), err)
	}
	pass := r.Value >= g.floor
	if !m.HigherBetter {
		pass = r.Value <= g.floor
	}
	return Verdict{
		Gate: g.Name(), Pass: pass, Metric: g.metric, N: r.N,
		Reason: fmt.Sprintf("%s is %.4f [%.4f, %.4f] on %d rows", g.metric, r.Value, r.Low, r.High, r.N),
	}, nil
}

// SmokeTest passes a challenger that a fresh loader can load and that answers
// the held-out rows one at a time as it answers them in one batch.
func SmokeTest() Gate { return smokeTest{} }

type smokeTest struct{}

func (smokeTest) Name() string { return "smoke test" }

// smokeRows is how many rows the smoke test asks about.
const smokeRows = 32

// smokeTolerance is the largest difference between a row's score alone and in a batch.
const smokeTolerance = 1e-6

func (g smokeTest) Check(ctx context.Context, c Candidate) (Verdict, error) {
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
				return Verdict{Gate: g.Name(), N: i + 1, Reason: fmt.Sprintf("row %d scores %g alone and %g in a batch", i, prob, other)}, nil
			}
		}
	}
	return Verdict{Gate: g.Name(), Pass: true, N: n, Reason: fmt.Sprintf("%d rows answered alike alone and in a batch", n)}, nil
}
