package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
)

// fitInput is the recorded input of one try of a fit. It holds the time of the
// step that began it, so that a fit that resumes days later reads the same rows.
type fitInput struct {
	ID          string    `json:"id"`
	Number      int64     `json:"number"`
	Now         time.Time `json:"now"`
	Champion    int64     `json:"champion"`     // 0: a first fit, compared with nothing
	ChampionTo  time.Time `json:"champion_to"`  // the last row that the champion was fitted on
	FromHistory bool      `json:"from_history"` // fits FitFirst's rows
	Config      string    `json:"config"`       // digest of the configuration that it is judged by
}

// fitOutput is what a fit came to.
type fitOutput struct {
	RunID    string             `json:"run_id"`
	Metrics  map[string]float64 `json:"metrics,omitempty"` // on the held-out rows
	Errors   drift.Baseline     `json:"errors"`            // there
	Verdicts []Verdict          `json:"verdicts,omitempty"`
	Version  int64              `json:"version,omitempty"` // 0: a gate said no
	From     time.Time          `json:"from"`              // of the rows that it was fitted on
	To       time.Time          `json:"to"`
}

// addTo notes in the record what the fit came to. The verdicts come with the
// decision that they lead to.
func (o fitOutput) addTo(r *Retraining) {
	r.RunID, r.Version, r.Metrics, r.Errors = o.RunID, o.Version, o.Metrics, o.Errors
	r.FittedFrom, r.FittedTo = o.From, o.To
}

// fitWorkflow keeps the workflows of several models on one engine apart.
func (l *Loop) fitWorkflow() string { return "mlloop.fit/" + l.config.Model }

// fitID names the present try: an engine keeps failures as it keeps results.
func (a *attempt) fitID() string { return fmt.Sprintf("%s/fit-%d", a.Retraining.ID, a.FitTries+1) }

// startFit begins the fit of the retraining under way, unless it is too early.
func (l *Loop) startFit(ctx context.Context, now time.Time) error {
	a := l.memory.Attempt
	if now.Before(a.FitAfter) {
		return nil
	}
	a.FitStartedAt, a.FitBegan = now, timestamp(time.Now())
	if err := l.putState(ctx); err != nil {
		return err
	}
	return l.runFit(ctx)
}

// runFit makes sure that the fit runs in this life. It is begun once.
func (l *Loop) runFit(ctx context.Context) error {
	a := l.memory.Attempt
	in := fitInput{
		ID: a.Retraining.ID, Number: a.Retraining.Number, Now: a.FitStartedAt,
		Champion: a.Retraining.Champion, FromHistory: a.FromHistory, Config: a.Retraining.Config,
	}
	if in.Champion != 0 {
		var err error
		if in.ChampionTo, err = l.fittedTo(ctx, in.Champion); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if err := l.config.Stores.Engine.Start(ctx, l.fitWorkflow(), a.fitID(), raw); err != nil {
		return err
	}
	l.fitSeen = a.fitID()
	l.pokeAfter(a.fitID())
	return nil
}

// lookAtFit sees how the fit stands. A fit is looked at from the step after the
// one that began it, so that a step comes to the same end however fast fits are.
func (l *Loop) lookAtFit(ctx context.Context, now time.Time) (*fitLook, error) {
	a := l.memory.Attempt
	if a.FitStartedAt.IsZero() {
		return nil, nil
	}
	if l.fitSeen != a.fitID() { // another life began it
		if err := l.runFit(ctx); err != nil {
			return nil, err
		}
	}
	if now.Equal(a.FitStartedAt) && a.Retraining.Champion != 0 {
		return nil, nil
	}
	result, err := l.config.Stores.Engine.Result(ctx, a.fitID())
	if errors.Is(err, ErrNotFound) {
		return nil, l.runFit(ctx)
	}
	if err != nil {
		return nil, err
	}
	if !result.Done {
		return l.watchDeadline(ctx)
	}
	look := &fitLook{Done: true, Err: result.Err}
	switch {
	case result.Err == nil:
		return look, json.Unmarshal(result.Output, &look.Output)
	case errors.Is(result.Err, ErrUnavailable):
		look.PutOff = result.Err.Error()
	case isClosed(result.Err):
		return nil, result.Err
	}
	return look, nil
}

// watchDeadline cancels a fit that takes longer than Config.FitTimeout, all lives
// of it together, by the processes' own clocks: a replay's days may pass in
// seconds.
func (l *Loop) watchDeadline(ctx context.Context) (*fitLook, error) {
	if time.Since(l.memory.Attempt.FitBegan) < l.config.FitTimeout {
		return &fitLook{}, nil
	}
	if err := l.config.Stores.Engine.Cancel(ctx, l.memory.Attempt.fitID()); err != nil {
		return nil, err
	}
	return &fitLook{Done: true, Err: fault.Errorf(fault.Invalid, "the fit took longer than Config.FitTimeout, %s, and was cancelled", l.config.FitTimeout)}, nil
}

// putOffFit notes that the fit is to be tried again: what it lacked may come.
func (l *Loop) putOffFit(ctx context.Context, now time.Time, why string) error {
	a := l.memory.Attempt
	a.FitTries++
	a.FitStartedAt, a.FitBegan, a.FitAfter = time.Time{}, time.Time{}, now.Add(tryAgainAfter(a.FitTries))
	l.memory.wait("fit", fmt.Sprintf("the fit of %s is tried again after %s: %s", a.Retraining.ID, a.FitAfter.Format(time.RFC3339), why))
	if err := l.tell(ctx, now, "waiting/fit", EventWaiting, "the fit of %s is put off and tried again: %s", a.Retraining.ID, why); err != nil {
		return err
	}
	return l.putState(ctx)
}

// cancelFit ends a fit whose result nobody waits for any more.
func (l *Loop) cancelFit(ctx context.Context) error {
	a := l.memory.Attempt
	if a == nil || a.Retraining.Stage != Fitting || a.FitStartedAt.IsZero() {
		return nil
	}
	err := l.config.Stores.Engine.Cancel(ctx, a.fitID())
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
