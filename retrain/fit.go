package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/metric"
)

// fitWorkflow is the name under which Loop registers fit.
const fitWorkflow = "mlloop.fit"

// fitInput is the recorded input of one fit. It holds the time of the step
// that began it, so that a fit that resumes days later reads the same rows.
type fitInput struct {
	ID       string    `json:"id"`
	Number   int64     `json:"number"`
	Now      time.Time `json:"now"`
	Champion int64     `json:"champion"` // 0: a first fit, compared with nothing
}

// fitOutput is what a fit came to.
type fitOutput struct {
	RunID    string     `json:"run_id"`
	Holdout  evaluation `json:"holdout"`
	Verdicts []Verdict  `json:"verdicts,omitempty"`
	Version  int64      `json:"version,omitempty"` // 0: a gate said no
}

// evaluation is how a challenger did on rows that it was not fitted on.
type evaluation struct {
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Errors  []float64          `json:"errors,omitempty"` // row by row: 1 where it was wrong; none where only the trainer knows
}

// step runs fn as a durable step with a JSON result.
func step[R any](ctx context.Context, steps Steps, name string, fn func(ctx context.Context) (R, error)) (R, error) {
	var result R
	raw, err := steps.Do(ctx, name, func(ctx context.Context) ([]byte, error) {
		r, err := fn(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(r)
	})
	if err != nil {
		return result, fmt.Errorf("%s: %w", name, err)
	}
	return result, json.Unmarshal(raw, &result)
}

// fit is the workflow validate → train → evaluate → compare → register.
func (l *Loop) fit(ctx context.Context, steps Steps, input []byte) ([]byte, error) {
	var in fitInput
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	var out fitOutput
	summary, err := step(ctx, steps, "validate", func(ctx context.Context) (dataSummary, error) { return l.validate(ctx, in) })
	if err != nil {
		return nil, err
	}
	// The id is drawn in a step of its own: a train step that runs again goes on
	// with the same tracking run.
	out.RunID, err = step(ctx, steps, "run", func(context.Context) (string, error) { return id.New(), nil })
	if err != nil {
		return nil, err
	}
	digest, err := step(ctx, steps, "train", func(ctx context.Context) (string, error) { return l.train(ctx, in, out.RunID) })
	if err != nil {
		return nil, err
	}
	if in.Champion == 0 {
		out.Holdout, err = step(ctx, steps, "evaluate", func(ctx context.Context) (evaluation, error) { return l.ownEvaluation(ctx, in, digest) })
		if err != nil {
			return nil, err
		}
	} else {
		out.Holdout, err = step(ctx, steps, "evaluate", func(ctx context.Context) (evaluation, error) { return l.evaluate(ctx, in, out.RunID, digest) })
		if err != nil {
			return nil, err
		}
		out.Verdicts, err = step(ctx, steps, "compare", func(ctx context.Context) ([]Verdict, error) { return l.compare(ctx, in, digest) })
		if err != nil {
			return nil, err
		}
	}
	if passed(out.Verdicts) {
		out.Version, err = step(ctx, steps, "register", func(ctx context.Context) (int64, error) {
			return l.register(ctx, in, out.RunID, digest, summary.Digest)
		})
		if err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

func passed(verdicts []Verdict) bool {
	for _, v := range verdicts {
		if !v.Pass {
			return false
		}
	}
	return true
}

// dataSummary says what a fit learned from.
type dataSummary struct {
	Rows    int    `json:"rows"`
	HeldOut int    `json:"held_out"`
	Digest  string `json:"digest"` // of the training rows
}

// fitData returns the rows of a fit: the history given to Bootstrap for a first
// fit, where there is one, else what the source yields.
func (l *Loop) fitData(ctx context.Context, in fitInput) (dataset, error) {
	if history := l.history.Load(); in.Champion == 0 && history != nil {
		columns, err := l.modelColumns(history)
		return dataset{Train: columns}, err
	}
	return l.dataset(ctx, in.Now, in.Champion != 0)
}

func (l *Loop) validate(ctx context.Context, in fitInput) (dataSummary, error) {
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
		return dataSummary{}, fault.Errorf(fault.Invalid, "all %d training rows have the same label %q: nothing can be learned", len(labels), l.config.Label)
	}
	s := dataSummary{Rows: data.Train.NumRows(), Digest: data.Train.Digest()}
	if data.Holdout != nil {
		s.HeldOut = data.Holdout.NumRows()
	}
	return s, nil
}

// train fits the challenger and stores its bundle; the result is the bundle's digest.
func (l *Loop) train(ctx context.Context, in fitInput, runID string) (string, error) {
	data, err := l.fitData(ctx, in)
	if err != nil {
		return "", err
	}
	runs := l.runs(in.Now)
	defer func() { _ = runs.Close(context.WithoutCancel(ctx)) }() // what must be durable is finished below
	run, err := l.resumeRun(ctx, runs, in, runID)
	if err != nil {
		return "", err
	}
	var inputs []string
	for _, f := range data.Train.Schema() {
		if f.Name != l.config.Label {
			inputs = append(inputs, f.Name)
		}
	}
	b, err := l.config.Trainer.Fit(ctx, train.Job{
		Data: data.Train, Label: l.config.Label, Inputs: inputs, Features: l.config.Features,
		Seed: l.config.Seed + uint64(in.Number), Now: in.Now, Run: run, ProfileWindow: l.profileWindow(),
	})
	if err != nil {
		if run != nil && ctx.Err() == nil { // a process that is being stopped resumes the run
			err = errors.Join(err, run.Fail(ctx, err))
		}
		return "", err
	}
	digest, err := l.registry(in.Now).Put(ctx, b)
	if err == nil && run != nil && in.Champion == 0 { // no evaluation will follow
		err = run.Finish(ctx)
	}
	return digest, err
}

// resumeRun opens the fit's tracking run. It is nil when an earlier life of the
// step finished it: equal fits log equal points, there is nothing to add.
func (l *Loop) resumeRun(ctx context.Context, runs *tracking.Client, in fitInput, runID string) (*tracking.Run, error) {
	run, err := runs.Start(ctx, l.config.Model, &tracking.RunOptions{
		ID: runID, Name: in.ID, Tags: map[string]string{"mlloop.retraining": in.ID},
	})
	if errors.Is(err, ErrConflict) {
		return nil, nil
	}
	return run, err
}

// evaluate scores the challenger and the champion on the held-out rows, and
// logs both to the challenger's run.
func (l *Loop) evaluate(ctx context.Context, in fitInput, runID, digest string) (evaluation, error) {
	c, err := l.candidate(ctx, in, digest)
	if err != nil {
		return evaluation{}, err
	}
	holdout, champion := evaluation{metricValues(c.Challenger), wrong(c.Challenger)}, metricValues(c.Champion)
	runs := l.runs(in.Now)
	defer func() { _ = runs.Close(context.WithoutCancel(ctx)) }() // Finish makes all of it durable
	run, err := l.resumeRun(ctx, runs, in, runID)
	if err != nil || run == nil {
		return holdout, err
	}
	for name, value := range holdout.Metrics {
		run.LogMetric("holdout_"+name, value, 0)
	}
	for name, value := range champion {
		run.LogMetric("champion_holdout_"+name, value, 0)
	}
	return holdout, run.Finish(ctx)
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

// wrong returns 1 for each row whose most probable class is not its label, else 0.
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
		if r, err := m.Evaluate(s, nil); err == nil {
			values[m.Name] = r.Value
		}
	}
	return values
}

func (l *Loop) compare(ctx context.Context, in fitInput, digest string) ([]Verdict, error) {
	c, err := l.candidate(ctx, in, digest)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, 0, len(l.config.Gates))
	for _, g := range l.config.Gates {
		v, err := g.Check(ctx, c)
		if err != nil { // a gate that cannot judge does not let pass
			v = Verdict{Gate: g.Name(), Reason: err.Error()}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
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
	c := Candidate{Model: l.config.Model, Bundle: challenger, Rows: data.Holdout, Blocks: data.Blocks, Seed: l.config.Seed}
	if c.Challenger, c.Predictor, err = l.score(ctx, challenger, data); err != nil {
		return Candidate{}, fmt.Errorf("challenger: %w", err)
	}
	if c.Champion, _, err = l.score(ctx, champion, data); err != nil {
		return Candidate{}, fmt.Errorf("champion: %w", err)
	}
	return c, nil
}

func (l *Loop) score(ctx context.Context, b *bundle.Bundle, data dataset) (metric.Scores, serve.Predictor, error) {
	p, err := serve.NewClassifier(b)
	if err != nil {
		return metric.Scores{}, nil, err
	}
	scores, err := scoreTable(ctx, p, data.Holdout, l.config.Label)
	return scores, p, err
}

func (l *Loop) register(ctx context.Context, in fitInput, runID, digest, dataDigest string) (int64, error) {
	models := l.registry(in.Now)
	b, err := models.Get(ctx, digest)
	if err != nil {
		return 0, err
	}
	v, err := models.Register(ctx, l.config.Model, b, &registry.Registration{
		Key:     in.ID,
		Lineage: registry.Lineage{RunID: runID, DataDigest: dataDigest, Parent: in.Champion},
		Reason:  "retraining " + in.ID,
	})
	return v.Number, err
}
