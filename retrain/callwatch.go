package retrain

import (
	"context"
	"fmt"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// callWatch compares how the calls of a challenger go, in shadow or as a
// canary, with those of the primary of the same time: how many fail, and how many
// are slow, by tests that hold however often one looks.
type callWatch struct {
	Failures *judge.Rates   `json:"failures"`
	Slow     *judge.Latency `json:"slow,omitempty"`  // nil until the primary's usual latency is known
	Usual    []float64      `json:"usual,omitempty"` // latencies of the primary from which that is learned, seconds
	Answered int            `json:"answered"`        // calls that the challenger answered
	Failed   int            `json:"failed"`
}

const (
	usualCalls = 100   // from which the primary's usual latency is learned
	leastSlow  = 0.010 // seconds: no call below it counts as slow
	slowFactor = 3     // times the primary's 99th percentile
)

// watchAlpha is the level of each comparison of a challenger's calls, and of a
// canary's labels, over its whole run.
const watchAlpha = 0.05 / 3

func newCallWatch(margin float64) (callWatch, error) {
	failures, err := judge.NewRates(&judge.WatchOptions{Margin: margin, Alpha: watchAlpha})
	return callWatch{Failures: failures}, err
}

// watchCalls returns a comparison of a challenger's calls with the champion's
// that knows what the champion's latest ones, up to the given one, took.
func (l *Loop) watchCalls(ctx context.Context, champion, to int64) (callWatch, error) {
	c, err := newCallWatch(l.terms.Rollout.FailureMargin)
	if err != nil {
		return c, err
	}
	for after := to - 10*usualCalls; after < to && c.Slow == nil; { // most rows are the primary's
		page, err := l.config.Stores.Serve.Predictions(ctx, serve.PredictionQuery{
			Model: l.config.Model, After: max(0, after), Variants: []serve.Variant{serve.Primary}, Statuses: []serve.Status{frame.Answered},
		})
		if err != nil || len(page) == 0 {
			return c, err
		}
		for _, p := range page {
			if after = p.Seq; after <= to && p.Version == champion && p.Index == 0 {
				c.seeLatency(judge.Primary, p.Latency.Seconds())
			}
		}
	}
	return c, nil
}

// see takes a logged row of an arm. What the model refused is the caller's fault
// on both sides; batches count once.
func (c *callWatch) see(arm judge.Arm, p serve.Prediction) {
	if p.Index > 0 || p.Status == frame.Refused {
		return
	}
	failed := !p.Status.OK()
	c.Failures.Add(arm, failed)
	switch {
	case arm == judge.Canary && failed:
		c.Failed++
	case arm == judge.Canary:
		c.Answered++
	}
	if !failed {
		c.seeLatency(arm, p.Latency.Seconds())
	}
}

// seeLatency learns what is slow from the primary, then compares.
func (c *callWatch) seeLatency(arm judge.Arm, took float64) {
	if c.Slow != nil {
		c.Slow.Add(arm, took)
		return
	}
	if arm != judge.Primary {
		return
	}
	if c.Usual = append(c.Usual, took); len(c.Usual) < usualCalls {
		return
	}
	slices.Sort(c.Usual)
	threshold := max(leastSlow, slowFactor*c.Usual[len(c.Usual)*99/100])
	c.Usual = nil
	c.Slow, _ = judge.NewLatency(threshold, &judge.WatchOptions{Alpha: watchAlpha}) // a finite threshold: it cannot fail
}

func (c *callWatch) watches() []judge.Watch {
	out := []judge.Watch{c.Failures.Judge()}
	if c.Slow != nil {
		out = append(out, c.Slow.Judge())
	}
	return out
}

// validate reports a stored comparison that lacks a part.
func (c *callWatch) validate() error {
	if c.Failures == nil {
		return fault.Errorf(fault.Corrupt, "the comparison of a challenger's calls lacks its failures")
	}
	return nil
}

// leastCalls is how many answers a challenger has to have given.
const leastCalls = 30

// harmOf returns the verdict of the first comparison that has shown harm, nil
// where none has.
func harmOf(gate string, watches []judge.Watch) *Verdict {
	for _, w := range watches {
		if w.Outcome == Fail {
			return &Verdict{Gate: gate + ": no harm", Outcome: Fail, Metric: w.Metric, Diff: w.Diff, Low: w.Low, High: w.High, N: w.Canary, Reason: w.Reason}
		}
	}
	return nil
}

// suspicion says why the calls do not pass yet; "" when they may. What is under
// suspicion does not pass, though harm is not shown: harm is looked for at every
// step, and a pass is for good.
func (c *callWatch) suspicion() string {
	if why := c.against(); why != "" {
		return why
	}
	if c.Slow == nil {
		return fmt.Sprintf("how long calls take is not known yet: %d of the champion's are, %d are wanted", len(c.Usual), usualCalls)
	}
	for _, w := range c.watches() {
		if w.Canary < leastCalls {
			return fmt.Sprintf("%d of its calls are known, %d are wanted", w.Canary, leastCalls)
		}
	}
	return ""
}

// against says which comparison is on the wrong side of its margin; "" for none.
// A stage that ends so has failed, whatever is done about one that cannot tell.
func (c *callWatch) against() string {
	for _, w := range c.watches() {
		if w.Outcome != Pass && w.Diff > w.Margin {
			return w.Reason
		}
	}
	return ""
}
