package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train"
)

// fitWorkflow is the kind of workflow that fit is.
const fitWorkflow = "mlloop.fit"

// fitInput is the recorded input of one fit. It holds the time of the step
// that began it, so that a fit that resumes days later reads the same rows.
type fitInput struct {
	ID          string    `json:"id"`
	Number      int64     `json:"number"`
	Now         time.Time `json:"now"`
	Champion    int64     `json:"champion"`     // 0: a first fit, compared with nothing
	FromHistory bool      `json:"from_history"` // fits Bootstrap's rows
}

// fitOutput is what a fit came to.
type fitOutput struct {
	RunID    string     `json:"run_id"`
	Holdout  evaluation `json:"holdout"`
	Verdicts []Verdict  `json:"verdicts,omitempty"`
	Version  int64      `json:"version,omitempty"` // 0: a gate said no
}

func (l *Loop) fitInput(r Retraining) fitInput {
	return fitInput{ID: r.ID, Number: r.Number, Now: r.StartedAt, Champion: r.Champion, FromHistory: r.Champion == 0 && l.history.Load() != nil}
}

// advanceFit fits and judges a challenger.
func (l *Loop) advanceFit(ctx context.Context, now time.Time, r Retraining) error {
	if err := l.report(ctx, Event{Time: r.StartedAt, Kind: EventStarted, Key: r.ID + "/started", Text: describeStart(r)}); err != nil {
		return err
	}
	out, err := l.runFit(ctx, r)
	if err != nil {
		if putOff(ctx, err) {
			return err
		}
		r.Error = err.Error()
		return l.apply(ctx, now, transition{Next: r.in(Failed, 0), Reason: r.Error})
	}
	r.add(out)
	t := transition{Next: r.in(Shadowing, 0), Reason: "the gates passed"}
	switch {
	case !passed(out.Verdicts):
		t.Next, t.Reason = r.in(Rejected, 0), "a gate said no"
	case l.config.Rollout.Shadow == 0:
		t.Next = r.in(l.afterShadow(), 0)
	}
	for i, v := range out.Verdicts {
		t.Events = append(t.Events, verdictEvent(EventGate, fmt.Sprintf("%s/gate/%d", r.ID, i), v))
	}
	return l.apply(ctx, now, t)
}

// add notes what a fit came to.
func (r *Retraining) add(out fitOutput) {
	r.RunID, r.Version, r.Verdicts = out.RunID, out.Version, out.Verdicts
	r.Holdout, r.Errors = out.Holdout.Metrics, out.Holdout.Errors
}

func describeStart(r Retraining) string {
	var causes []string
	for _, c := range r.Causes {
		causes = append(causes, c.Trigger+" ("+c.Detail+")")
	}
	return fmt.Sprintf("retraining %s against version %d: %s", r.ID, r.Champion, strings.Join(causes, "; "))
}

func (l *Loop) runFit(ctx context.Context, r Retraining) (fitOutput, error) {
	var out fitOutput
	raw, err := l.runWorkflow(ctx, fitWorkflow, r.ID, l.fitInput(r))
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(raw, &out)
}

// fit is the workflow validate → train → evaluate → compare → register.
func (l *Loop) fit(ctx context.Context, steps Steps, input []byte) ([]byte, error) {
	var in fitInput
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	var out fitOutput
	if _, err := step(ctx, steps, "validate", func(ctx context.Context) (dataSummary, error) { return l.validate(ctx, in) }); err != nil {
		return nil, err
	}
	// The id is drawn in a step of its own: a train step that runs again goes on
	// with the same tracking run.
	runID, err := step(ctx, steps, "run", func(context.Context) (string, error) { return id.New(), nil })
	if err != nil {
		return nil, err
	}
	out.RunID = runID
	fitted, err := step(ctx, steps, "train", func(ctx context.Context) (fitted, error) { return l.train(ctx, in, runID) })
	if err != nil {
		return nil, err
	}
	if out.Holdout, err = step(ctx, steps, "evaluate", func(ctx context.Context) (evaluation, error) { return l.evaluate(ctx, in, runID, fitted.Bundle) }); err != nil {
		return nil, err
	}
	if in.Champion != 0 {
		if out.Verdicts, err = step(ctx, steps, "compare", func(ctx context.Context) ([]Verdict, error) { return l.compare(ctx, in, fitted.Bundle) }); err != nil {
			return nil, err
		}
	}
	if passed(out.Verdicts) {
		if out.Version, err = step(ctx, steps, "register", func(ctx context.Context) (int64, error) { return l.register(ctx, in, runID, fitted) }); err != nil {
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

// fitData returns the rows of a fit: the history given to Bootstrap for a first
// fit, where there is one, else what the source yields.
func (l *Loop) fitData(ctx context.Context, in fitInput) (dataset, error) {
	if !in.FromHistory {
		return l.dataset(ctx, in.Now, in.Champion != 0)
	}
	history := l.history.Load()
	if history == nil { // resumed by Open or Step; the next Bootstrap runs it again
		return dataset{}, fault.Errorf(fault.Unavailable, "the first fit was begun on the history of Bootstrap: call Bootstrap with it again")
	}
	columns, err := l.modelColumns(history)
	return dataset{Train: columns}, err
}

// dataSummary says what a fit learns from.
type dataSummary struct {
	Rows    int `json:"rows"`
	HeldOut int `json:"held_out"`
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
		return dataSummary{}, fault.Errorf(fault.Invalid, "all %d training rows have the same label %q: nothing can be learned; give rows of two classes or more", len(labels), l.config.Label)
	}
	s := dataSummary{Rows: data.Train.NumRows()}
	if data.Holdout != nil {
		s.HeldOut = data.Holdout.NumRows()
	}
	return s, nil
}

// fitted is a challenger in the artifact store, not yet a version.
type fitted struct {
	Bundle string `json:"bundle"` // its digest
	Data   string `json:"data"`   // digest of the training rows
}

// train fits the challenger and stores its bundle.
func (l *Loop) train(ctx context.Context, in fitInput, runID string) (fitted, error) {
	data, err := l.fitData(ctx, in)
	if err != nil {
		return fitted{}, err
	}
	var digest string
	err = l.withRun(ctx, in, runID, func(run *tracking.Run) error {
		b, err := l.config.Trainer.Fit(ctx, train.Job{
			Data: data.Train, Label: l.config.Label, Inputs: l.inputColumns(data.Train.Schema()), Features: l.config.Features,
			Seed: l.config.Seed + uint64(in.Number), Now: in.Now, Run: run, ProfileWindow: l.profileWindow(),
		})
		if err != nil {
			return err
		}
		if err := checkBundle(b); err != nil {
			return err
		}
		digest, err = l.registry(in.Now).Put(ctx, b)
		return err
	})
	return fitted{Bundle: digest, Data: data.Train.Digest()}, err
}

// checkBundle reports what a Trainer left out that the loop cannot do without.
func checkBundle(b *bundle.Bundle) error {
	if b == nil {
		return fault.Errorf(fault.Invalid, "the Trainer returned neither a bundle nor an error")
	}
	if _, err := b.ReadFile(bundle.ProfilePart); err != nil {
		return fmt.Errorf("the Trainer's bundle has no reference profile, which drift is measured against: %w", err)
	}
	return nil
}

// withRun calls fn with the fit's tracking run, which goes on afterwards unless
// fn fails. The run is nil when an earlier life of the step finished it: equal
// fits log equal points, there is nothing to add.
func (l *Loop) withRun(ctx context.Context, in fitInput, runID string, fn func(run *tracking.Run) error) error {
	runs := l.runs(in.Now)
	defer func() {
		if err := runs.Close(context.WithoutCancel(ctx)); err != nil { // what is logged never fails a fit
			l.config.Logger.ErrorContext(ctx, "points of a fit's run are lost", "run", runID, "error", err)
		}
	}()
	run, err := runs.Start(ctx, l.config.Model, &tracking.RunOptions{
		ID: runID, Name: in.ID, Tags: map[string]string{"mlloop.retraining": in.ID},
	})
	if errors.Is(err, ErrConflict) {
		return fn(nil)
	}
	if err != nil {
		return err
	}
	err = fn(run)
	if err != nil && ctx.Err() == nil { // a process that is being stopped resumes the run
		err = errors.Join(err, run.Fail(ctx, err))
	}
	return err
}

func (l *Loop) register(ctx context.Context, in fitInput, runID string, f fitted) (int64, error) {
	models := l.registry(in.Now)
	b, err := models.Get(ctx, f.Bundle)
	if err != nil {
		return 0, err
	}
	v, err := models.Register(ctx, l.config.Model, b, &registry.Registration{
		Key:     in.ID,
		Lineage: registry.Lineage{RunID: runID, DataDigest: f.Data, Parent: in.Champion},
		Reason:  "retraining " + in.ID,
	})
	return v.Number, err
}
