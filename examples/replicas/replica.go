package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

const model = "churn"

// configure is the same in every replica: which of them leads is not configured.
func configure(stores *retrain.Stores) retrain.Config {
	return retrain.Config{
		Model: model, Stores: stores, Data: retrain.SourceFunc(visits),
		Time: "seen_at", Label: "churned", LabelDelay: time.Hour,
		Features: feature.Pipeline{feature.Standardize()},
		Trainer:  train.MLP{Hidden: []int{4}, Epochs: 5},
		Gates:    []retrain.Gate{retrain.NonInferior("log_loss", 0.05), retrain.SmokeTest()},
		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.Cron("0 3 * * 1")},
		Interval: time.Second, Logger: slog.New(slog.DiscardHandler),
	}
}

var visitSchema = frame.Schema{
	{Name: "seen_at", Kind: frame.Time}, {Name: "visits", Kind: frame.Float64}, {Name: "churned", Kind: frame.Int64},
}

// visits yields the last month of a service's own records, one an hour.
func visits(_ context.Context, now time.Time) (*frame.Table, error) {
	var rows []frame.Row
	for at := now.Truncate(time.Hour).AddDate(0, -1, 0); at.Before(now); at = at.Add(time.Hour) {
		rng := rand.New(rand.NewPCG(uint64(at.Unix()), 0))
		visits, churned := rng.NormFloat64(), int64(0)
		if visits+rng.NormFloat64()/2 < 0 {
			churned = 1
		}
		rows = append(rows, frame.Row{Schema: visitSchema, Values: []frame.Value{
			frame.TimeValue(at.UnixMilli()), frame.FloatValue(visits), frame.IntValue(churned),
		}})
	}
	return frame.FromRows(visitSchema, rows)
}

// serveReplica answers on a free port and runs the loop until ctx is done. It
// prints a line when it listens, when it can answer, and when it begins to lead.
func serveReplica(ctx context.Context, o options, out io.Writer) (err error) {
	stores, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close(context.Background())) }()
	loop, err := retrain.New(configure(stores))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close(context.Background())) }()
	listener, err := servehttp.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listens", listener.Addr())
	return runReplica(ctx, loop, listener, out)
}

func runReplica(ctx context.Context, loop *retrain.Loop, listener net.Listener, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	var served error
	work.Go(func() {
		defer stop()
		served = servehttp.Serve(ctx, listener, loop.Handler(), &servehttp.ServeOptions{Drain: loop.Handler().Drain})
	})
	work.Go(func() { tell(ctx, loop, out) })
	err := loop.Run(ctx)
	stop()
	work.Wait()
	return errors.Join(err, served)
}

// tell prints what changes of the loop's status, until ctx is done.
func tell(ctx context.Context, loop *retrain.Loop, out io.Writer) {
	var ready, leading bool
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		status, err := loop.Status(ctx)
		if err != nil {
			continue // Config.Alerts is empty: never
		}
		if !ready && slices.Contains(loop.Server().Models(), model) {
			if route, err := loop.Server().Route(ctx, model); err == nil {
				ready = true
				fmt.Fprintln(out, "answers", route.Primary)
			}
		}
		if status.Leading != leading {
			if leading = status.Leading; leading {
				fmt.Fprintln(out, "leads", status.Token)
			}
		}
	}
}
