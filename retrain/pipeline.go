package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train"
)

// fit is the workflow validate → train → evaluate → compare → register. It runs
// beside the steps, and decides nothing.
func (l *Loop) fit(ctx context.Context, steps Steps, input []byte) ([]byte, error) {
	var in fitInput
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	by, err := l.readTerms(ctx, in.Config)
	if err != nil {
		return nil, err
	}
	var out fitOutput
	seen, err := durable(ctx, steps, "validate", func(ctx context.Context) (dataSummary, error) { return l.summarize(ctx, in) })
	if err != nil {
		return nil, err
	}
	out.From, out.To = seen.From, seen.To
	// The id is drawn in a step of its own: a train step that runs again goes on
	// with the same tracking run.
	if out.RunID, err = durable(ctx, steps, "run", func(context.Context) (string, error) { return id.New(), nil }); err != nil {
		return nil, err
	}
	fitted, err := durable(ctx, steps, "train", func(ctx context.Context) (fitted, error) { return l.train(ctx, in, out.RunID) })
	if err != nil {
		return nil, err
	}
	held, err := durable(ctx, steps, "evaluate", func(ctx context.Context) (evaluation, error) { return l.evaluate(ctx, in, out.RunID, fitted.Bundle) })
	if err != nil {
		return nil, err
	}
	out.Metrics, out.Errors = held.Metrics, held.Errors
	if in.Champion != 0 {
		if out.Verdicts, err = durable(ctx, steps, "compare", func(ctx context.Context) ([]Verdict, error) { return l.compare(ctx, in, by, fitted.Bundle) }); err != nil {
			return nil, err
		}
	}
	if outcome, _ := sum(out.Verdicts); outcome == Pass || (outcome == Undetermined && by.Inconclusive == GoOn) {
		if out.Version, err = durable(ctx, steps, "register", func(ctx context.Context) (int64, error) { return l.register(ctx, in, out, fitted) }); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// durable runs fn as a durable step with a JSON result. A panic in it, which may
// be that of a part that the service brought, is an error.
func durable[R any](ctx context.Context, steps Steps, name string, fn func(ctx context.Context) (R, error)) (R, error) {
	var result R
	raw, err := steps.Do(ctx, name, func(ctx context.Context) (raw []byte, err error) {
		err = safely(func() error {
			r, err := fn(ctx)
			if err == nil {
				raw, err = json.Marshal(r)
			}
			return err
		})
		return raw, err
	}, nil)
	if err != nil {
		return result, fmt.Errorf("%s: %w", name, err)
	}
	return result, json.Unmarshal(raw, &result)
}

// fitData returns the rows of a fit: the history given to FitFirst for a first
// fit, where there is one, else what the source yields.
func (l *Loop) fitData(ctx context.Context, in fitInput) (dataset, error) {
	if !in.FromHistory {
		by, err := l.readTerms(ctx, in.Config)
		if err != nil {
			return dataset{}, err
		}
		return l.dataset(ctx, by, in.Now, in.ChampionTo, in.Champion != 0)
	}
	history := l.history.Load()
	if history == nil { // resumed by Open or Step; the next FitFirst runs it again
		return dataset{}, fault.Errorf(fault.Unavailable, "the first fit was begun on the history of FitFirst: call FitFirst with it again")
	}
	d := dataset{}
	columns, err := l.modelColumns(history)
	if err != nil {
		return d, err
	}
	if stamps, err := history.Values(l.config.Time); err == nil && len(stamps) > 0 {
		first, err1 := timeOf(stamps[0])
		last, err2 := timeOf(stamps[len(stamps)-1])
		if err1 == nil && err2 == nil {
			d.From, d.To = first, last
		}
	}
	d.Train = columns
	return d, nil
}

// fitted is a challenger in the artifact store, not yet a version.
type fitted struct {
	Bundle string `json:"bundle"` // its digest
	Data   string `json:"data"`   // digest of the training rows
	Rows   int    `json:"rows"`
}

// train fits the challenger and stores its bundle.
func (l *Loop) train(ctx context.Context, in fitInput, runID string) (fitted, error) {
	data, err := l.fitData(ctx, in)
	if err != nil {
		return fitted{}, err
	}
	var digest string
	err = l.withRun(ctx, in, runID, "train", func(run *tracking.Run) error {
		b, err := l.config.Trainer.Fit(ctx, train.Job{
			Data: data.Train, Label: l.config.Label, Inputs: l.inputColumns(data.Train.Schema()), Features: l.config.Features,
			Seed: l.config.Seed + uint64(in.Number), Now: in.Now, Run: run, ProfileWindow: l.profileWindow(), Procs: l.config.Procs,
		})
		switch {
		case err != nil && ctx.Err() == nil && errors.Is(err, ErrUnavailable):
			return fault.Errorf(fault.Invalid, "the Trainer failed: %v", err) // its own word for a failure: the fit is over
		case err != nil:
			return err
		case b == nil:
			return fault.Errorf(fault.Invalid, "the Trainer returned neither a bundle nor an error")
		}
		digest, err = l.registry(in.Now).Put(ctx, b)
		return err
	})
	return fitted{Bundle: digest, Data: data.Train.Digest(), Rows: data.Train.NumRows()}, err
}

// profileWindow is the window that reference profiles are calibrated for; 0
// leaves it to the profile.
func (l *Loop) profileWindow() int {
	if l.config.Drift == nil {
		return 0
	}
	return l.config.Drift.Window
}

// withRun calls fn with the fit's tracking run, which goes on afterwards unless
// fn fails. The run is nil when an earlier life of the step finished it: equal
// fits log equal points, there is nothing to add.
func (l *Loop) withRun(ctx context.Context, in fitInput, runID, step string, fn func(run *tracking.Run) error) error {
	runs := l.runs(in.Now)
	defer func() {
		if err := runs.Close(context.WithoutCancel(ctx)); err != nil { // what is logged never fails a fit
			l.tellLost(context.WithoutCancel(ctx), in, runID, step, err)
		}
	}()
	run, err := runs.Start(ctx, l.config.Model, &tracking.RunOptions{
		ID: runID, Name: in.ID, Tags: map[string]string{"mlloop.retraining": in.ID},
	})
	if errors.Is(err, ErrConflict) {
		return safely(func() error { return fn(nil) })
	}
	if err != nil {
		return err
	}
	err = safely(func() error { return fn(run) })
	if err != nil && ctx.Err() == nil { // a process that is being stopped resumes the run
		// What failed decides whether the fit is tried again, not what was logged.
		if failed := run.Fail(ctx, err); failed != nil {
			l.tellLost(ctx, in, runID, step, failed)
		}
	}
	return err
}

func (l *Loop) register(ctx context.Context, in fitInput, out fitOutput, f fitted) (int64, error) {
	models := l.registry(in.Now)
	b, err := models.Get(ctx, f.Bundle)
	if err != nil {
		return 0, err
	}
	v, err := models.Register(ctx, l.config.Model, b, &registry.Registration{
		Key: in.ID,
		Lineage: registry.Lineage{
			RunID: out.RunID, DataDigest: f.Data, Parent: in.Champion, Code: thisProgram().Revision,
			DataFrom: out.From, DataTo: out.To, Rows: int64(f.Rows),
		},
		Reason: "retraining " + in.ID,
	})
	return v.Number, err
}
