package campaign

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	processes         = 8
	writersPerProcess = 25 // 200 in all
	model             = "churn"
	sharedRun         = "shared"
	versions          = 3 // that the alias moves between
)

var writersStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// say prints what is stored, one line at a time.
type say struct{ mu sync.Mutex }

func (s *say) stored(kind, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Println(kind, what)
}

// runWriters writes beside the other processes, and prints each record once the
// store said that it is stored. Nothing is tried again: an error ends the process.
func runWriters(ctx context.Context, t task) error {
	stores, err := t.open(ctx)
	if err != nil {
		return err
	}
	out := &say{}
	errs := make([]error, writersPerProcess)
	var writers sync.WaitGroup
	for i := range writersPerProcess {
		w := &writer{stores: stores, out: out, number: t.Process*writersPerProcess + i}
		writers.Go(func() {
			for round := range t.Rounds {
				if errs[i] = w.round(ctx, round); errs[i] != nil {
					return
				}
			}
		})
	}
	writers.Wait()
	return errors.Join(errors.Join(errs...), stores.Close(ctx))
}

// writer is one of the 200.
type writer struct {
	stores *retrain.Stores
	out    *say
	number int
}

func (w *writer) round(ctx context.Context, round int) error {
	name := fmt.Sprintf("%d-%d", w.number, round)
	for _, write := range []func(ctx context.Context, name string, round int) error{
		w.point, w.prediction, w.event, w.moveAlias, w.state, w.route, w.checkpoint,
	} {
		if err := write(ctx, name, round); err != nil {
			return fmt.Errorf("writer %d, round %d: %w", w.number, round, err)
		}
	}
	return nil
}

// point logs to one run that all share: a key that all share, and one of the writer's own.
func (w *writer) point(ctx context.Context, name string, round int) error {
	at := writersStart.Add(time.Duration(round) * time.Second)
	err := w.stores.Tracking.Log(ctx, sharedRun, tracking.Batch{Metrics: []tracking.Metric{
		{Key: "all", Value: float64(w.number), Step: int64(round), Time: at},
		{Key: fmt.Sprintf("writer-%d", w.number), Value: 1, Step: int64(round), Time: at},
	}})
	if err == nil {
		w.out.stored("point", name)
	}
	return err
}

var inputs = frame.Schema{{Name: "x", Kind: frame.Float64}}

// prediction logs a prediction, then its label.
func (w *writer) prediction(ctx context.Context, name string, round int) error {
	at := writersStart.Add(time.Duration(round) * time.Second)
	features := frame.Row{Schema: inputs, Values: []frame.Value{frame.FloatValue(float64(w.number))}}
	err := w.stores.Serve.AppendPredictions(ctx, []serve.Prediction{{
		ID: name, Model: model, Version: 1, Variant: serve.Primary, Status: frame.Answered, Key: name, Time: at, Propensity: 1,
		Features: features, Digest: serve.Digest(features),
		Outputs: frame.Row{Schema: frame.Schema{{Name: serve.LabelOutput, Kind: frame.Int64}}, Values: []frame.Value{frame.IntValue(1)}},
	}})
	if err != nil {
		return err
	}
	w.out.stored("prediction", name)
	label := serve.Label{ID: name, Model: model, Value: frame.IntValue(int64(w.number % 2)), Time: at}
	unknown, err := w.stores.Serve.AppendLabels(ctx, []serve.Label{label})
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		return fault.Errorf(fault.NotFound, "the store does not know the prediction %s, which it has stored", name)
	}
	w.out.stored("label", name)
	return nil
}

func (w *writer) event(ctx context.Context, name string, _ int) error {
	err := w.stores.Retrain.AppendEvent(ctx, retrain.Event{Model: model, Time: writersStart, Kind: "campaign", Text: name, Key: name})
	if err == nil {
		w.out.stored("event", name)
	}
	return err
}

// moveAlias moves the alias on from where it is; others may have been quicker,
// to the same version too: then the token is that of their move.
func (w *writer) moveAlias(ctx context.Context, name string, _ int) error {
	models := registry.New(w.stores.Registry, w.stores.Artifacts, nil)
	found, err := models.Alias(ctx, model, registry.Champion)
	if err != nil {
		return err
	}
	to := found.Version%versions + 1
	moved, err := models.SetAlias(ctx, model, registry.Champion, found.Version, to, registry.Change{Actor: name, Token: found.Seq})
	return w.raced("alias", fmt.Sprint(name, " ", moved.Seq), err)
}

// raced prints a compare-and-set that was won; a lost one is none of ours.
func (w *writer) raced(kind, what string, err error) error {
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	if err == nil {
		w.out.stored(kind, what)
	}
	return err
}

func (w *writer) state(ctx context.Context, name string, _ int) error {
	st, err := w.stores.Retrain.State(ctx, model)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	next := retrain.State{Model: model, Rev: st.Rev + 1, SteppedAt: writersStart, Data: []byte(name)}
	return w.raced("state", name, w.stores.Retrain.PutState(ctx, next))
}

func (w *writer) route(ctx context.Context, name string, _ int) error {
	r, err := w.stores.Serve.Route(ctx, model)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	return w.raced("route", name, w.stores.Serve.PutRoute(ctx, serve.Route{Model: model, Primary: 1, Salt: name, Rev: r.Rev + 1}))
}

// checkpoint saves a checkpoint with an alert of its own: stored both or neither.
func (w *writer) checkpoint(ctx context.Context, name string, _ int) error {
	c, err := w.stores.Drift.Checkpoint(ctx, model)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	c = drift.Checkpoint{Model: model, Version: 1, Rev: c.Rev + 1, At: writersStart, State: []byte(name)}
	return w.raced("checkpoint", name, w.stores.Drift.Save(ctx, c, []drift.Alert{{
		ID: name, Model: model, Version: 1, Source: drift.FeatureDrift, Severity: drift.Warning, FiredAt: writersStart,
	}}))
}
