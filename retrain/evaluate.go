package retrain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/metric"
)

// dataSummary says what a fit learns from.
type dataSummary struct {
	Rows    int       `json:"rows"`
	HeldOut int       `json:"held_out"`
	From    time.Time `json:"from"` // of the rows that are fitted on
	To      time.Time `json:"to"`
}

// summarize checks that there is something to learn from.
func (l *Loop) summarize(ctx context.Context, in fitInput) (dataSummary, error) {
	data, err := l.fitData(ctx, in)
	if err != nil {
		return dataSummary{}, err
	}
	labels, err := data.Train.Values(l.config.Label)
	if err != nil {
		return dataSummary{}, err
	}
	classes := make(map[string]bool)
	for _, v := range labels {
		classes[v.Text()] = true
	}
	if len(classes) < 2 {
		return dataSummary{}, fault.Errorf(fault.Invalid, "all %d training rows have the same label %q: nothing can be learned; give rows of two classes or more", len(labels), l.config.Label)
	}
	s := dataSummary{Rows: data.Train.NumRows(), From: data.From, To: data.To}
	if data.Holdout != nil {
		s.HeldOut = data.Holdout.NumRows()
	}
	return s, nil
}

// evaluation is how a challenger did on rows that it was not fitted on.
type evaluation struct {
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Errors  drift.Baseline     `json:"errors"` // of 1 where it was wrong, else 0; no rows where only the trainer knows
}

// evaluate scores the challenger, and the champion where there is one, and
// finishes the challenger's run.
func (l *Loop) evaluate(ctx context.Context, in fitInput, runID, digest string) (evaluation, error) {
	var e evaluation
	err := l.withRun(ctx, in, runID, "evaluate", func(run *tracking.Run) (err error) {
		if in.Champion == 0 {
			e, err = l.ownEvaluation(ctx, in, digest)
		} else {
			e, err = l.pairedEvaluation(ctx, in, digest, run)
		}
		if err != nil {
			return err
		}
		return l.finishRun(ctx, in, runID, run)
	})
	return e, err
}

// finishRun ends the run of a fit that succeeded. What a run lacks of its points
// is told, and fails no fit: only a run that cannot be ended is tried again.
func (l *Loop) finishRun(ctx context.Context, in fitInput, runID string, run *tracking.Run) error {
	err := run.Finish(ctx)
	if err == nil {
		return nil
	}
	stored, read := l.config.Stores.Tracking.Run(ctx, runID)
	if read != nil || stored.Status != tracking.Finished {
		return err
	}
	l.tellLost(ctx, in, runID, "evaluate", err)
	return nil
}

// tellLost tells that a step's records of the run are not all stored.
func (l *Loop) tellLost(ctx context.Context, in fitInput, runID, step string, lost error) {
	l.config.Logger.ErrorContext(ctx, "points of a fit's run are lost", "run", runID, "error", lost)
	err := l.report(ctx, Event{
		Time: in.Now, Kind: EventPointsLost, Key: fmt.Sprintf("%s/lost/%s/%s", in.ID, runID, step),
		Text: fmt.Sprintf("run %s of %s has not all that its step %q logged, which changes nothing of the fit: %v", runID, in.ID, step, lost),
	})
	if err != nil {
		l.config.Logger.ErrorContext(ctx, "an event is lost", "model", l.config.Model, "event", EventPointsLost, "error", err)
	}
}

// pairedEvaluation scores both on the held-out rows, and logs both.
func (l *Loop) pairedEvaluation(ctx context.Context, in fitInput, digest string, run *tracking.Run) (evaluation, error) {
	c, err := l.candidate(ctx, in, digest)
	if err != nil {
		return evaluation{}, err
	}
	defer closePredictor(c.Predictor)
	e := evaluation{metricValues(c.Challenger), drift.NewBaseline(wrong(c.Challenger))}
	for name, value := range e.Metrics {
		run.LogMetric("holdout_"+name, value, 0)
	}
	for name, value := range metricValues(c.Champion) {
		run.LogMetric("champion_holdout_"+name, value, 0)
	}
	return e, nil
}

// ownEvaluation returns what the trainer measured on the rows that it kept
// from fitting: the first champion has no later rows to be judged on.
func (l *Loop) ownEvaluation(ctx context.Context, in fitInput, digest string) (evaluation, error) {
	b, err := l.registry(in.Now).Get(ctx, digest)
	if err != nil {
		return evaluation{}, err
	}
	raw, err := b.ReadFile(bundle.EvaluationPart)
	if errors.Is(err, ErrNotFound) {
		return evaluation{}, nil // a trainer of the service's own need not evaluate
	}
	if err != nil {
		return evaluation{}, err
	}
	own, err := metric.DecodeEvaluation(raw)
	if err != nil {
		return evaluation{}, err
	}
	e := evaluation{Metrics: make(map[string]float64)}
	for _, r := range own.Results {
		e.Metrics[r.Name] = r.Value
	}
	return e, nil
}

// wrong returns 1 for each row whose most probable class, the first of equals,
// is not its label, else 0.
func wrong(s metric.Scores) []float64 {
	errs := make([]float64, len(s.Labels))
	for i, label := range s.Labels {
		for c, p := range s.Probabilities[i*s.Classes : (i+1)*s.Classes] {
			if best := s.Probabilities[i*s.Classes+label]; p > best || (p == best && c < label) {
				errs[i] = 1
			}
		}
	}
	return errs
}

// metricValues computes every metric that exists for the scores: AUC, say, does
// not on rows of one class.
func metricValues(s metric.Scores) map[string]float64 {
	values := make(map[string]float64)
	for _, m := range metric.All() {
		if r, err := m.Evaluate(s, nil); err == nil && finite(r.Value) {
			values[m.Name] = r.Value
		}
	}
	return values
}

func finite(xs ...float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// compare has every gate judge the challenger.
func (l *Loop) compare(ctx context.Context, in fitInput, by terms, digest string) ([]Verdict, error) {
	c, err := l.candidate(ctx, in, digest)
	if err != nil {
		return nil, err
	}
	defer closePredictor(c.Predictor)
	verdicts := make([]Verdict, 0, len(by.Gates))
	for _, g := range by.Gates {
		v, err := judgeBy(ctx, g, c)
		if ctx.Err() != nil {
			return nil, ctx.Err() // the gate was cut off: it is asked again
		}
		if err == nil && !finite(v.Diff, v.Low, v.High) {
			err = fault.Errorf(fault.Invalid, "the verdict's figures %g [%g, %g] are not finite", v.Diff, v.Low, v.High)
		}
		if err != nil { // a gate that cannot judge does not let pass
			v = Verdict{Gate: g.Name(), Outcome: Fail, Reason: err.Error()}
		}
		if v.Outcome == Undetermined {
			v.Reason += fmt.Sprintf(" (Config.Inconclusive: %s)", by.Inconclusive)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
}

// judgeBy asks one gate. A gate that leaves the outcome open has not passed anything.
func judgeBy(ctx context.Context, g Gate, c Candidate) (v Verdict, err error) {
	err = safely(func() error {
		v, err = g.Judge(ctx, c)
		return err
	})
	if err == nil && v.Outcome == "" {
		err = fault.Errorf(fault.Invalid, "the verdict has no outcome")
	}
	return v, err
}

// candidate asks the challenger and the champion about the held-out rows.
func (l *Loop) candidate(ctx context.Context, in fitInput, digest string) (Candidate, error) {
	data, err := l.fitData(ctx, in)
	if err != nil {
		return Candidate{}, err
	}
	models := l.registry(in.Now)
	challenger, err := models.Get(ctx, digest)
	if err != nil {
		return Candidate{}, err
	}
	champion, _, err := models.Load(ctx, registry.VersionRef(l.config.Model, in.Champion))
	if err != nil {
		return Candidate{}, err
	}
	mine, err := l.askAll(ctx, challenger, data.Holdout)
	if err != nil {
		return Candidate{}, fmt.Errorf("challenger: %w", err)
	}
	theirs, err := l.askAll(ctx, champion, data.Holdout)
	if err != nil {
		closePredictor(mine.predictor)
		return Candidate{}, fmt.Errorf("champion: %w", err)
	}
	closePredictor(theirs.predictor)
	classes := allClasses(theirs.classes, mine.classes)
	a, b := scoresOfBoth(classes, theirs, mine)
	return Candidate{
		Model: l.config.Model, Bundle: challenger, Predictor: mine.predictor, Load: l.load,
		Rows: data.Holdout, Seed: l.config.Seed, Classes: classes, Challenger: b, Champion: a,
	}, nil
}
