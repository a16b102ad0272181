// Package fakes is a piece of a service that uses mlloop, with its unit tests:
// they run on fakes, in milliseconds, without a database, a network or a fit.
package fakes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// Churn is the nightly job of a shop: it learns which customers leave.
type Churn struct {
	Runs    *tracking.Client
	Models  *registry.Client
	Trainer train.Trainer
	Floor   float64 // the AUC that a champion must reach
}

// Retrain fits a model on the customers and makes it champion if it is good enough.
func (c Churn) Retrain(ctx context.Context, customers *frame.Table, now time.Time) error {
	run, err := c.Runs.Start(ctx, "churn", nil)
	if err != nil {
		return err
	}
	b, err := c.Trainer.Fit(ctx, train.Job{
		Data: customers, Label: "leaves", Now: now, Run: run,
		Features: feature.Pipeline{feature.Standardize(), feature.OneHot("plan")},
	})
	if err != nil {
		return errors.Join(err, run.Fail(ctx, err))
	}
	if err := run.Finish(ctx); err != nil {
		return err
	}
	auc, err := evaluatedAUC(b)
	if err != nil || auc < c.Floor {
		return err
	}
	return c.promote(ctx, b, run.ID(), fmt.Sprintf("AUC %.3f", auc))
}

func (c Churn) promote(ctx context.Context, b *bundle.Bundle, runID, reason string) error {
	champion, err := c.Models.Alias(ctx, "churn", registry.Champion)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	lineage := registry.Lineage{RunID: runID, Parent: champion.Version} // 0: the first one
	v, err := c.Models.Register(ctx, "churn", b, &registry.Registration{Lineage: lineage})
	if err != nil {
		return err
	}
	_, err = c.Models.Promote(ctx, "churn", v.Number, champion.Version, registry.Change{Reason: reason})
	return err
}

func evaluatedAUC(b *bundle.Bundle) (float64, error) {
	data, err := b.ReadFile(bundle.EvaluationPart)
	if err != nil {
		return 0, err
	}
	e, err := metric.DecodeEvaluation(data)
	if err != nil {
		return 0, err
	}
	auc, _ := e.Get("auc")
	return auc.Value, nil
}

// Discount says what a customer is offered: 20 % to those who would leave.
func Discount(ctx context.Context, models *serve.Server, id string, customer frame.Row) (int, error) {
	inputs, err := frame.TensorsFromRows(customer.Schema, []frame.Row{customer})
	if err != nil {
		return 0, err
	}
	answer, err := models.Predict(ctx, "churn", serve.Request{ID: id, Inputs: inputs, Outputs: []string{serve.LabelOutput}})
	if err != nil {
		return 0, err
	}
	if leaves := answer.Outputs[0].Data.([]bool)[0]; leaves {
		return 20, nil
	}
	return 0, nil
}
