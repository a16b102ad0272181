package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

// world is the shop with its loop in virtual time: its customers come evenly
// through the day, each is predicted once, and the shop writes down what became
// of them. Everything follows from the seed.
type world struct {
	t       *testing.T
	shop    *shop
	stores  *retrain.Stores
	loop    *retrain.Loop
	trainer *handicapped
	rng     *rand.Rand
	clock   atomic.Int64
	start   time.Time
	now     time.Time
	every   time.Duration   // between two visits
	shift   func(*customer) // changes who comes; nil: nobody
	next    time.Time       // visit
	books   time.Time       // when the shop writes down outcomes next
	visits  int
}

// newWorld makes a shop that has been open for 120 days, with so many visits a
// day, and fits its first model.
func newWorld(t *testing.T, seed uint64, perDay float64, change func(*retrain.Config)) *world {
	t.Helper()
	start := time.Date(2026, 1, 7, 9, 0, 0, 0, time.UTC).Add(time.Duration(seed%7) * day)
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 17)), start: start, every: time.Duration(float64(day) / perDay),
		stores: retraintest.NewStores(),
	}
	t.Cleanup(func() { require.NoError(t, w.stores.Close(context.Background())) })
	var err error
	w.shop, err = openShop(t.Context(), filepath.Join(t.TempDir(), "shop.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.shop.db.Close()) })
	_, err = w.shop.db.Exec("PRAGMA synchronous = OFF")
	require.NoError(t, err)
	w.shop.db.SetMaxOpenConns(1) // the pragma is that connection's

	c := configure(w.shop.db, w.stores)
	w.trainer = &handicapped{MLP: c.Trainer.(train.MLP), fresh: freshRows(seed)}
	c.Trainer, c.Seed = w.trainer, seed
	c.Now = func() time.Time { return time.UnixMilli(w.clock.Load()).UTC() }
	c.Logger = slog.New(slog.DiscardHandler)
	if change != nil {
		change(&c)
	}
	w.loop, err = retrain.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.loop.Close(context.Background())) })

	w.next = start.Add(-120 * day)
	w.advance(start, false)
	require.NoError(t, w.loop.FitFirst(t.Context(), start, nil))
	return w
}

// advance lets the visits until now happen, and the shop write down outcomes.
func (w *world) advance(now time.Time, asked bool) {
	w.t.Helper()
	tx, err := w.shop.db.Begin()
	require.NoError(w.t, err)
	var came []customer
	for ; w.next.Before(now); w.next = w.next.Add(w.every) {
		w.visits++
		c := makeUp(w.rng, fmt.Sprintf("c%06d", w.visits), w.next)
		if w.shift != nil {
			w.shift(&c)
		}
		require.NoError(w.t, c.insert(w.t.Context(), tx))
		came = append(came, c)
	}
	require.NoError(w.t, tx.Commit())
	if !now.Before(w.books) {
		require.NoError(w.t, w.shop.recordOutcomes(w.t.Context(), now))
		w.books = now.Add(day)
	}
	for _, c := range came {
		if asked {
			w.clock.Store(c.seen.UnixMilli())
			w.ask(c)
		}
	}
	w.now = now
	w.clock.Store(now.UnixMilli())
}

func (w *world) ask(c customer) {
	w.t.Helper()
	inputs, err := frame.TensorsFromRows(inputSchema, []frame.Row{c.inputs()})
	require.NoError(w.t, err)
	_, err = w.loop.Server().Predict(w.t.Context(), "churn", serve.Request{ID: c.id, Key: c.id, Inputs: inputs})
	require.NoError(w.t, err)
}

// step brings the shop and the loop to now.
func (w *world) step(now time.Time) {
	w.t.Helper()
	w.advance(now, true)
	require.NoError(w.t, w.loop.Settle(w.t.Context()))
	require.NoError(w.t, w.loop.Step(w.t.Context(), now))
	require.NoError(w.t, w.loop.Settle(w.t.Context()))
}

func (w *world) retrainings() []retrain.Retraining {
	w.t.Helper()
	all, err := w.loop.Retrainings(w.t.Context())
	require.NoError(w.t, err)
	return all[1:]
}

func (w *world) events(kind string) []retrain.Event {
	w.t.Helper()
	all, err := w.loop.Events(w.t.Context(), 0)
	require.NoError(w.t, err)
	var found []retrain.Event
	for _, e := range all {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// day is how many days after the start a time is.
func (w *world) day(at time.Time) int { return int(at.Sub(w.start) / day) }

var inputSchema = frame.Schema{
	{Name: "plan", Kind: frame.String}, {Name: "region", Kind: frame.String},
	{Name: "spend", Kind: frame.Float64}, {Name: "visits", Kind: frame.Int64},
}

func (c customer) inputs() frame.Row {
	return frame.Row{Schema: inputSchema, Values: []frame.Value{
		frame.StringValue(c.plan), frame.StringValue(c.region), spendValue(c.spend), frame.IntValue(int64(c.visits)),
	}}
}

func spendValue(v sql.NullFloat64) frame.Value {
	if !v.Valid {
		return frame.Value{}
	}
	return frame.FloatValue(v.Float64)
}

// freshRows are customers that no model is fitted on, with their truth: on them
// the true accuracy of each model is measured.
func freshRows(seed uint64) []customer {
	rng := rand.New(rand.NewPCG(seed, 99))
	rows := make([]customer, 20_000)
	for i := range rows {
		rows[i] = makeUp(rng, "", time.Time{})
	}
	return rows
}

// handicapped is the quick start's trainer, whose challengers are, when worse is
// set, fitted on labels that partly say "churned" for those who did not: so many
// that the challenger's true accuracy is ten points below the first model's.
type handicapped struct {
	train.MLP
	worse    bool
	fresh    []customer
	share    float64   // of the labels 0 that the last challenger was lied to about
	first    float64   // accuracy of the first model
	accuracy []float64 // of the others
}

// Fit implements train.Trainer.
func (h *handicapped) Fit(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
	if h.first == 0 || !h.worse {
		b, err := h.MLP.Fit(ctx, job)
		return b, h.note(ctx, b, err)
	}
	data := job.Data
	job.Run = nil // takes the points of one fit
	for share := max(0.30, h.share-0.02); ; share += 0.01 {
		var err error
		if job.Data, err = flipped(data, job.Label, share); err != nil {
			return nil, err
		}
		b, err := h.MLP.Fit(ctx, job)
		if err != nil {
			return nil, err
		}
		accuracy, err := h.measure(ctx, b)
		if err != nil {
			return nil, err
		}
		if accuracy <= h.first-0.10 {
			h.share = share
			return b, h.note(ctx, b, nil)
		}
	}
}

// note keeps the true accuracy of a model.
func (h *handicapped) note(ctx context.Context, b *bundle.Bundle, err error) error {
	if err != nil {
		return err
	}
	accuracy, err := h.measure(ctx, b)
	if h.first == 0 {
		h.first = accuracy
	} else {
		h.accuracy = append(h.accuracy, accuracy)
	}
	return err
}

// measure is the share of the fresh rows that a model is right about.
func (h *handicapped) measure(ctx context.Context, b *bundle.Bundle) (float64, error) {
	p, err := serve.NewClassifier(b)
	if err != nil {
		return 0, err
	}
	rows := make([]frame.Row, len(h.fresh))
	for i, c := range h.fresh {
		rows[i] = c.inputs()
	}
	inputs, err := frame.TensorsFromRows(inputSchema, rows)
	if err != nil {
		return 0, err
	}
	outputs, err := p.Predict(ctx, inputs)
	if err != nil {
		return 0, err
	}
	right := 0
	for _, o := range outputs {
		if answers, ok := o.Data.([]int64); ok {
			for i, c := range h.fresh {
				if (answers[i] == 1) != c.back.Valid {
					right++
				}
			}
		}
	}
	return float64(right) / float64(len(h.fresh)), nil
}

// flipped is the table with that share of the labels 0 turned to 1.
func flipped(t *frame.Table, label string, share float64) (*frame.Table, error) {
	rng := rand.New(rand.NewPCG(5, 5))
	at := t.Schema().Index(label)
	rows := make([]frame.Row, t.NumRows())
	for i := range rows {
		rows[i] = t.Row(i)
		if rng.Float64() < share && rows[i].Values[at].Int() == 0 {
			rows[i].Values[at] = frame.IntValue(1)
		}
	}
	return frame.FromRows(t.Schema(), rows)
}
