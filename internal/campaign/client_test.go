package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	askEvery     = 20 * time.Millisecond
	flushEvery   = 10 // predictions
	triggerEvery = 4 * time.Second
)

// client is a process's callers: it asks for predictions, gives labels back, logs
// points and now and then wants a retraining, and prints what is stored.
type client struct {
	name   string // of this life
	server *serve.Server
	wish   func(ctx context.Context, why string) error // Loop.Retrain; nil: this process has no loop
	stores *retrain.Stores
	clock  clock
	out    say

	asked    int
	unstored []string // answered, and waiting to be stored
	owed     []owed   // labels, in the order in which they are known
	wanted   int
}

type owed struct {
	id    string
	value int64
	known time.Time
}

func newClient(t task, server *serve.Server, stores *retrain.Stores, c clock) *client {
	return &client{name: fmt.Sprintf("%d.%d", t.Process, os.Getpid()), server: server, stores: stores, clock: c}
}

// beside has the client ask until work has ended, which its first error ends.
func (c *client) beside(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	asking := make(chan error, 1)
	go func() {
		asking <- c.run(ctx)
		stop()
	}()
	err := work(ctx)
	stop()
	return errors.Join(err, <-asking)
}

func (c *client) run(ctx context.Context) error {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	trigger := time.Now().Add(triggerEvery / 2)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := c.ask(ctx)
		if err == nil && len(c.unstored) >= flushEvery {
			err = c.flush(ctx)
		}
		if err == nil && c.wish != nil && time.Now().After(trigger) {
			trigger = time.Now().Add(triggerEvery)
			err = c.trigger(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("client %s: %w", c.name, err)
		}
	}
}

// ask asks about a row. Until there is a champion nobody can answer.
func (c *client) ask(ctx context.Context) error {
	now := c.clock.now()
	x, y := rowOf(int64(c.asked)<<20 + int64(os.Getpid()))
	id := fmt.Sprintf("%s-%d", c.name, c.asked)
	_, err := c.server.Predict(ctx, model, serve.Request{ID: id, Key: id, Inputs: []frame.Tensor{
		{Name: "x", Datatype: frame.FP64, Shape: []int64{1}, Data: []float64{x}},
	}})
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c.asked++
	c.unstored = append(c.unstored, id)
	c.owed = append(c.owed, owed{id, y, now.Add(labelDelay)})
	return nil
}

// flush makes durable what was answered, gives the labels that are known, and logs a point.
func (c *client) flush(ctx context.Context) error {
	if err := c.server.Flush(ctx); err != nil {
		return err
	}
	for _, id := range c.unstored {
		c.out.stored("prediction", id)
	}
	c.unstored = c.unstored[:0]
	if err := c.label(ctx); err != nil {
		return err
	}
	err := c.stores.Tracking.Log(ctx, sharedRun, tracking.Batch{Metrics: []tracking.Metric{
		{Key: "asked", Value: float64(os.Getpid()), Step: int64(c.asked), Time: loopStart},
	}})
	if err == nil {
		c.out.stored("point", fmt.Sprintf("%d-%d", os.Getpid(), c.asked))
	}
	return err
}

func (c *client) label(ctx context.Context) error {
	var known []serve.LabelInput
	for len(c.owed) > 0 && !c.owed[0].known.After(c.clock.now()) {
		known = append(known, serve.LabelInput{ID: c.owed[0].id, Value: frame.IntValue(c.owed[0].value)})
		c.owed = c.owed[1:]
	}
	if len(known) == 0 {
		return nil
	}
	report, err := c.server.Label(ctx, model, known)
	if err != nil {
		return err
	}
	if report.Stored != len(known) {
		return fault.Errorf(fault.NotFound, "of %d labels whose predictions are stored, %d were taken: %+v", len(known), report.Stored, report)
	}
	for _, l := range known {
		c.out.stored("label", l.ID)
	}
	return nil
}

// trigger wants a retraining; one of another process may come between.
func (c *client) trigger(ctx context.Context) error {
	at := c.clock.now()
	c.wanted++
	why := fmt.Sprintf("%s-%d", c.name, c.wanted)
	err := c.wish(ctx, why)
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	if err == nil {
		c.out.stored("trigger", fmt.Sprint(why, " ", at.UnixMilli(), " ", c.clock.now().UnixMilli()))
	}
	return err
}
