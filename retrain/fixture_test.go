package retrain_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// stream is a small world with a row every quarter of an hour: y is 1 when x is
// above 0, until the row of flip, from which on it is 1 when x is below 0. One
// label in twenty is noise. The label is known a day after its row.
type stream struct {
	table *frame.Table
	flip  int
}

const (
	rowsADay   = 96
	rowEvery   = day / rowsADay
	labelDelay = day
	never      = 1 << 30 // as a flip
)

var streamStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(row int) time.Time { return streamStart.Add(time.Duration(row) * rowEvery) }

func newStream(t testing.TB, rows, flip int) *stream {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 8))
	schema := frame.Schema{
		{Name: "seen_at", Kind: frame.Time}, {Name: "customer", Kind: frame.String},
		{Name: "x", Kind: frame.Float64}, {Name: "z", Kind: frame.Float64}, {Name: "y", Kind: frame.Int64},
	}
	records := make([]frame.Row, rows)
	for i := range records {
		x := rng.NormFloat64()
		y := int64(0)
		if (x > 0) != (i >= flip) != (rng.IntN(20) == 0) {
			y = 1
		}
		records[i] = frame.Row{Schema: schema, Values: []frame.Value{
			frame.TimeValue(at(i).UnixMilli()), frame.StringValue(fmt.Sprintf("c%d", i)),
			frame.FloatValue(x), frame.FloatValue(rng.NormFloat64()), frame.IntValue(y),
		}}
	}
	table, err := frame.FromRows(schema, records)
	require.NoError(t, err)
	return &stream{table: table, flip: flip}
}

// Rows implements retrain.Source with everything there is, the future
// included: it is the loop that must not look ahead.
func (s *stream) Rows(context.Context, time.Time) (*frame.Table, error) { return s.table, nil }

// recent yields the last days before now: what a WHERE clause does.
func (s *stream) recent(days int) retrain.Source {
	return retrain.SourceFunc(func(_ context.Context, now time.Time) (*frame.Table, error) {
		row := min(int(now.Sub(streamStart)/rowEvery), s.table.NumRows())
		return s.table.Slice(max(0, row-days*rowsADay), row), nil
	})
}

// world drives a loop over a stream as clients would, in this process.
type world struct {
	t      *testing.T
	stream *stream
	stores *retrain.Stores
	loop   *retrain.Loop
	clock  atomic.Int64
	row    int
	right  map[int]bool // by row
	told   int          // the row from which on no label has been given back
	mute   bool         // gives no labels back
	wrong  bool         // gives each label back wrong
	asks   func(row int) int64
	tells  func(from, to int)
}

func baseConfig(s *stream, stores *retrain.Stores) retrain.Config {
	return retrain.Config{
		Model: "churn", Stores: stores, Data: s.recent(21),
		Time: "seen_at", Entity: "customer", Label: "y", LabelDelay: labelDelay,
		Features: feature.Pipeline{feature.Standardize()},
		Trainer:  train.MLP{Hidden: []int{4}, Epochs: 12, LearningRate: 0.05},
		Holdout:  3 * day,
		Gates:    []retrain.Gate{retrain.NoHarm("accuracy", 0.1), retrain.SmokeTest()},
		Rollout: retrain.Rollout{
			Shadow: day, ShadowRate: -1, Metric: "accuracy", Margin: 0.15, MinLabels: 60, Weights: []float64{0.25, 0.5}, Bake: day,
		},
		Seed: 1, Logger: slog.New(slog.DiscardHandler),
	}
}

func newWorld(t *testing.T, s *stream, change func(*retrain.Config)) *world {
	t.Helper()
	stores := retraintest.NewStores()
	t.Cleanup(func() { require.NoError(t, stores.Close(context.Background())) })
	return newWorldOn(t, s, stores, change)
}

func newWorldOn(t *testing.T, s *stream, stores *retrain.Stores, change func(*retrain.Config)) *world {
	t.Helper()
	w := &world{t: t, stream: s, stores: stores, right: make(map[int]bool)}
	w.asks, w.tells = w.ask, w.tell
	steadied := *stores
	steadied.Serve = steady{stores.Serve}
	c := baseConfig(s, &steadied)
	c.Now = w.now
	if change != nil {
		change(&c)
	}
	retraintest.EndLease(t, stores.Retrain, c.Model) // of a life before, which nothing has closed
	loop, err := retrain.New(c)
	require.NoError(t, err)
	w.loop = loop
	t.Cleanup(func() { require.NoError(t, loop.Close(context.Background())) })
	return w
}

// steady is a log in which every answer took no time: what the loop decides by
// how long calls take must not depend on how busy the machine of a test is.
type steady struct{ serve.Store }

func (s steady) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	ps = slices.Clone(ps)
	for i := range ps {
		ps[i].Latency = 0
	}
	return s.Store.AppendPredictions(ctx, ps)
}

func (w *world) now() time.Time { return time.UnixMilli(w.clock.Load()).UTC() }

// start fits the first champion on the rows before first, and goes on from there.
func (w *world) start(first int) {
	w.t.Helper()
	w.from(first)
	require.NoError(w.t, w.loop.FitFirst(w.t.Context(), at(first), w.stream.table.Slice(0, first)))
}

// from goes on from the row without a champion's having been fitted.
func (w *world) from(row int) {
	w.row, w.told = row, row
	w.clock.Store(at(row).UnixMilli())
}

// retrainable is the first day on which a champion that was fitted on the 20 days
// before can be replaced: twice the label delay and a holdout later.
const retrainable = 25 * rowsADay

// run replays rows until the given one. At each midnight the labels that are
// known by then are given back and the loop is stepped.
func (w *world) run(until int) {
	w.t.Helper()
	for ; w.row < until; w.row++ {
		w.clock.Store(at(w.row).UnixMilli())
		if w.row%rowsADay == 0 {
			if known := w.row - rowsADay; known > w.told {
				w.tells(w.told, known)
				w.told = known
			}
			w.step(at(w.row))
		}
		w.right[w.row] = w.asks(w.row) == w.label(w.row)
	}
}

// runDays replays so many days.
func (w *world) runDays(n int) {
	w.t.Helper()
	w.run(w.row + n*rowsADay)
}

// step steps the loop once the shadow has answered, and again once the fit that
// it may have begun has ended.
func (w *world) step(now time.Time) {
	w.t.Helper()
	require.NoError(w.t, w.loop.Server().Drain(w.t.Context()))
	require.NoError(w.t, w.loop.Step(w.t.Context(), now))
	require.NoError(w.t, w.loop.Settle(w.t.Context()))
	require.NoError(w.t, w.loop.Step(w.t.Context(), now.Add(time.Minute)))
}

func (w *world) label(row int) int64 { return w.stream.table.Row(row).Get("y").Int() }

// moveAlias is what a person does to the registry; to 0 deletes the alias.
func (w *world) moveAlias(from, to int64) {
	w.t.Helper()
	models := registry.New(w.stores.Registry, w.stores.Artifacts, nil)
	if to == 0 {
		_, err := models.DeleteAlias(w.t.Context(), "churn", registry.Champion, from, registry.Change{})
		require.NoError(w.t, err)
		return
	}
	_, err := models.SetAlias(w.t.Context(), "churn", registry.Champion, from, to, registry.Change{Actor: "jo"})
	require.NoError(w.t, err)
}

func (w *world) route() serve.Route {
	w.t.Helper()
	r, err := w.stores.Serve.Route(w.t.Context(), "churn")
	require.NoError(w.t, err)
	r.Rev, r.Token, r.Salt = 0, 0, ""
	return r
}

// ask asks the server about a row, and returns the class that it answers.
func (w *world) ask(row int) int64 {
	w.t.Helper()
	answer, err := w.loop.Server().Predict(w.t.Context(), "churn", rowRequest(w.stream, row))
	require.NoError(w.t, err)
	return answerOf(w.t, answer)
}

func answerOf(t *testing.T, answer serve.Response) int64 {
	t.Helper()
	for _, o := range answer.Outputs {
		if o.Name == serve.LabelOutput {
			return o.Data.([]int64)[0]
		}
	}
	require.Fail(t, "no label in the answer")
	return 0
}

// tell gives the labels of the rows [from, to) back.
func (w *world) tell(from, to int) {
	w.t.Helper()
	if w.mute {
		return
	}
	var labels []serve.LabelInput
	for row := from; row < to; row++ {
		label := w.label(row)
		if w.wrong {
			label = 1 - label
		}
		labels = append(labels, serve.LabelInput{ID: rowID(row), Value: frame.IntValue(label)})
	}
	report, err := w.loop.Server().Label(w.t.Context(), "churn", labels)
	require.NoError(w.t, err)
	require.Empty(w.t, report.Refused)
}

func rowID(row int) string { return fmt.Sprintf("r%d", row) }

func rowRequest(s *stream, row int) serve.Request {
	r := s.table.Row(row)
	tensor := func(name string) frame.Tensor {
		return frame.Tensor{Name: name, Datatype: frame.FP64, Shape: []int64{1}, Data: []float64{r.Get(name).Float()}}
	}
	return serve.Request{ID: rowID(row), Inputs: []frame.Tensor{tensor("x"), tensor("z")}}
}

// accuracy is the share of right answers on the rows [from, to).
func (w *world) accuracy(from, to int) float64 {
	n := 0
	for row := from; row < to; row++ {
		if w.right[row] {
			n++
		}
	}
	return float64(n) / float64(to-from)
}

// kinds returns the kinds of the events so far, in order.
func (w *world) kinds() []string {
	w.t.Helper()
	events, err := w.loop.Events(w.t.Context(), 0)
	require.NoError(w.t, err)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (w *world) retrainings() []retrain.Retraining {
	w.t.Helper()
	all, err := w.loop.Retrainings(w.t.Context())
	require.NoError(w.t, err)
	return all
}

// count is how many events of the kind have happened.
func (w *world) count(kind string) int {
	w.t.Helper()
	n := 0
	for _, k := range w.kinds() {
		if k == kind {
			n++
		}
	}
	return n
}

func (w *world) status() retrain.Status {
	w.t.Helper()
	s, err := w.loop.Status(w.t.Context())
	require.NoError(w.t, err)
	return s
}

// last is the latest retraining.
func (w *world) last() retrain.Retraining {
	w.t.Helper()
	all := w.retrainings()
	require.NotEmpty(w.t, all)
	return all[len(all)-1]
}
