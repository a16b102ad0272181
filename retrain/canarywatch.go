package retrain

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// canaryWatch compares a canary's calls and labels with the primary's of the
// same time, from the first ones on. It is kept in the checkpoint. Nil watches
// nothing.
type canaryWatch struct {
	callWatch
	Retraining string        `json:"retraining"` // ID
	Since      time.Time     `json:"since"`      // when its first weight began
	Champion   int64         `json:"champion"`   // version
	Challenger int64         `json:"challenger"` // version
	Metric     string        `json:"metric"`
	Losses     *judge.Losses `json:"losses,omitempty"`
	Labels     int           `json:"labels"`    // labelled rows of the canary
	Corrected  int           `json:"corrected"` // labels that were corrected after they had been counted

	own, theirs []frame.Value // classes of the challenger and of the champion
}

const (
	logLossBound   = 4.0 // what one row may weigh: p = 0.018 on the label
	assumedLogLoss = math.Ln2
)

// newCanaryWatch starts the comparison of a rollout's canary.
func (l *Loop) newCanaryWatch(ctx context.Context, a *attempt) error {
	r, rollout := a.Retraining, l.terms.Rollout
	c := &canaryWatch{Retraining: r.ID, Since: a.RolloutSince, Champion: r.Champion, Challenger: r.Version, Metric: rollout.lossMetric()}
	var err error
	if c.callWatch, err = l.watchCalls(ctx, r.Champion, a.RolloutSeq); err != nil {
		return err
	}
	bound := lossBound(c.Metric)
	usual, known := l.watcher.origin.Metrics[c.Metric]
	if !known {
		usual = assumedLogLoss / logLossBound * bound
	}
	margin := min(rollout.RollbackMargin*usual, 0.9*bound)
	if margin > 0 {
		if c.Losses, err = judge.NewLosses(bound, &judge.WatchOptions{Margin: margin, Alpha: watchAlpha}); err != nil {
			return err
		}
	}
	if err := l.addClasses(ctx, c, r); err != nil {
		return err
	}
	l.watcher.canary = c
	return nil
}

func lossBound(name string) float64 {
	switch name {
	case metric.NameLogLoss:
		return logLossBound
	case metric.NameBrier:
		return 2
	}
	return 1
}

// addClasses tells a comparison, new or restored, what both versions predict.
// A canary that is no classifier is watched by its calls alone.
func (l *Loop) addClasses(ctx context.Context, c *canaryWatch, r Retraining) error {
	own, err := l.classesOfVersion(ctx, r.Version)
	if err != nil {
		return fmt.Errorf("version %d: %w", r.Version, err)
	}
	c.own, c.theirs = own, l.watcher.classes
	return nil
}

// arm tells on which side a logged row is.
func (c *canaryWatch) arm(p serve.Prediction) (judge.Arm, bool) {
	switch {
	case p.Time.Before(c.Since):
	case p.Variant == serve.Canary && p.Version == c.Challenger:
		return judge.Canary, true
	case p.Variant == serve.Primary && p.Version == c.Champion && p.Status != frame.Fallback: // a fallback is the canary's call
		return judge.Primary, true
	}
	return judge.Primary, false
}

// validate reports a stored comparison that lacks a part.
func (c *canaryWatch) validate() error {
	if c == nil {
		return nil
	}
	return c.callWatch.validate()
}

// see takes a logged row.
func (c *canaryWatch) see(p serve.Prediction) {
	if c == nil {
		return
	}
	if arm, ok := c.arm(p); ok {
		c.callWatch.see(arm, p)
	}
}

// label takes a label with the answer to its row. A row that the canary could
// not answer has the most that a row may lose: left out, it would hide what the
// canary does not know.
func (c *canaryWatch) label(p serve.LabelledPrediction) {
	if c == nil || c.Losses == nil || !p.Status.OK() || !isAboutLabel(p.Truth) {
		return
	}
	arm, ok := c.arm(p.Prediction)
	unanswered := !ok && c.inPlaceOfCanary(p.Prediction)
	if !ok && !unanswered {
		return
	}
	classes := c.theirs
	if arm == judge.Canary {
		classes = c.own
	}
	scores, i := p.Scores(), classIndex(classes, p.Truth.Value)
	if len(scores) != len(classes) || (classIndex(c.own, p.Truth.Value) < 0 && classIndex(c.theirs, p.Truth.Value) < 0) {
		return
	}
	if !p.Truth.Replaces.IsNull() {
		c.Corrected++ // what was bet on the earlier value is not taken back
		return
	}
	if unanswered {
		c.Losses.Add(judge.Canary, lossBound(c.Metric))
		return
	}
	if arm == judge.Canary {
		c.Labels++
	}
	c.Losses.Add(arm, loss(c.Metric, scores, i))
}

// inPlaceOfCanary reports whether the primary answered a row that the canary
// had failed on.
func (c *canaryWatch) inPlaceOfCanary(p serve.Prediction) bool {
	return p.Variant == serve.Primary && p.Version == c.Champion && p.Status == frame.Fallback && !p.Time.Before(c.Since)
}

// loss is a row's part of the metric, lower being better; label -1 is a class
// that the model does not know.
func loss(name string, scores []float64, label int) float64 {
	switch name {
	case metric.NameLogLoss:
		if label < 0 {
			return logLossBound
		}
		return min(logLossBound, -math.Log(max(scores[label], 1e-12)))
	case metric.NameBrier:
		sum := 0.0
		for j, p := range scores {
			d := p
			if j == label {
				d = p - 1
			}
			sum += d * d
		}
		if label < 0 {
			sum++
		}
		return sum
	}
	for j, p := range scores {
		if label < 0 || p > scores[label] || (p == scores[label] && j < label) {
			return 1
		}
	}
	return 0
}
