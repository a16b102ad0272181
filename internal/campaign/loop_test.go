package campaign

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	day        = 24 * time.Hour
	rowEvery   = 15 * time.Minute
	labelDelay = 6 * time.Hour
	speed      = 43_200 // days pass in two seconds
	history    = 14 * day
)

var loopStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is a world in which time passes faster, the same in every process.
type clock struct{ epoch time.Time }

func (c clock) now() time.Time { return loopStart.Add(time.Since(c.epoch) * speed) }

// runLoop runs the loop, and a client of its own, until it is told to stop.
func runLoop(ctx context.Context, t task) error {
	stores, err := t.open(ctx)
	if err != nil {
		return err
	}
	c := clock{time.UnixMilli(t.Epoch)}
	stores.Engine = journalledEngine{stores.Engine, journal{t.Journal, os.Getpid()}, t.Release}
	loop, err := retrain.New(loopConfig(stores, c, t.Release))
	if err != nil {
		return err
	}
	callers := newClient(t, loop.Server(), stores, c)
	callers.wish = loop.Retrain
	err = callers.beside(ctx, loop.Run)
	end := context.WithoutCancel(ctx)
	return errors.Join(err, loop.Close(end), stores.Close(end))
}

// runFollower answers beside the loops, and never leads.
func runFollower(ctx context.Context, t task) error {
	stores, err := t.open(ctx)
	if err != nil {
		return err
	}
	c := clock{time.UnixMilli(t.Epoch)}
	follower, err := retrain.Follow(model, stores, &retrain.FollowOptions{ShadowRate: -1, Now: c.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	err = newClient(t, follower.Server(), stores, c).beside(ctx, follower.Run)
	end := context.WithoutCancel(ctx)
	return errors.Join(err, follower.Close(end), stores.Close(end))
}

func loopConfig(stores *retrain.Stores, c clock, release int) retrain.Config {
	return retrain.Config{
		Model: model, Stores: stores, Data: retrain.SourceFunc(rows),
		Time: "seen_at", Label: "y", LabelDelay: labelDelay,
		Features: feature.Pipeline{feature.Standardize()},
		Trainer:  train.MLP{Hidden: []int{2}, Epochs: 1 + release, LearningRate: 0.05},
		Holdout:  2 * day, Inconclusive: retrain.GoOn,
		Gates:  []retrain.Gate{retrain.SmokeTest()},
		Policy: retrain.Policy{Cooldown: -1, MaxFailures: 1000, MaxBackoff: time.Hour},
		Rollout: retrain.Rollout{
			Shadow: 12 * time.Hour, ShadowRate: -1, Metric: "accuracy", Margin: 0.5, MinLabels: 20, RollbackMargin: 0.9,
			FailureMargin: 0.9, Weights: []float64{0.5}, Bake: 12 * time.Hour, Patience: 2, Inconclusive: retrain.GoOn,
		},
		Retention: retrain.Retention{Age: -1, Bytes: -1},
		Seed:      1, Now: c.now, Interval: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
}

var rowSchema = frame.Schema{{Name: "seen_at", Kind: frame.Time}, {Name: "x", Kind: frame.Float64}, {Name: "y", Kind: frame.Int64}}

// rows is the data source: the fortnight before now. Equal times give equal rows.
func rows(_ context.Context, now time.Time) (*frame.Table, error) {
	last := now.UnixMilli() / rowEvery.Milliseconds()
	var all []frame.Row
	for i := last - int64(history/rowEvery); i < last; i++ {
		x, y := rowOf(i)
		all = append(all, frame.Row{Schema: rowSchema, Values: []frame.Value{
			frame.TimeValue(i * rowEvery.Milliseconds()), frame.FloatValue(x), frame.IntValue(y),
		}})
	}
	return frame.FromRows(rowSchema, all)
}

// rowOf is the world: y is 1 when x is above 0, but for one row in twenty.
func rowOf(i int64) (x float64, y int64) {
	rng := rand.New(rand.NewPCG(uint64(i), 1))
	x = rng.NormFloat64()
	if (x > 0) != (rng.IntN(20) == 0) {
		y = 1
	}
	return x, y
}
