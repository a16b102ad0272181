package retrain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
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

// stream is a small world with an hourly row: y is 1 when x is above 0, until
// the row of flip, from which on it is 1 when x is below 0. One label in twenty
// is noise. The label is known a day after its row.
type stream struct {
	table *frame.Table
	flip  int
}

const (
	rowsADay   = 24
	labelDelay = 24 * time.Hour
)

var streamStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(row int) time.Time { return streamStart.Add(time.Duration(row) * time.Hour) }

func newStream(t testing.TB, rows, flip int) *stream {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
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
		row := min(int(now.Sub(streamStart)/time.Hour), s.table.NumRows())
		return s.table.Slice(max(0, row-days*rowsADay), row), nil
	})
}

// world drives a loop over a stream as clients would: over HTTP.
type world struct {
	t      *testing.T
	stream *stream
	stores *retrain.Stores
	loop   *retrain.Loop
	clock  atomic.Int64
	server *httptest.Server
	row    int
	right  map[int]bool // by row
}

func baseConfig(s *stream, stores *retrain.Stores) retrain.Config {
	return retrain.Config{
		Model: "churn", Stores: stores, Data: s.recent(21),
		Time: "seen_at", Entity: "customer", Label: "y", LabelDelay: labelDelay,
		Features: feature.Pipeline{feature.Standardize()},
		Trainer:  train.MLP{Hidden: []int{8}, Epochs: 30, LearningRate: 0.02},
		Holdout:  3 * 24 * time.Hour,
		Gates:    []retrain.Gate{retrain.NoHarm("accuracy", 0.2), retrain.SmokeTest()},
		Rollout: retrain.Rollout{
			Shadow: 24 * time.Hour, Metric: "accuracy", Margin: 0.3, MinLabels: 20, Weights: []float64{0.25, 0.5}, Bake: 24 * time.Hour,
		},
		Seed: 1,
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
	c := baseConfig(s, w.stores)
	c.Now = func() time.Time { return time.UnixMilli(w.clock.Load()).UTC() }
	if change != nil {
		change(&c)
	}
	loop, err := retrain.New(c)
	require.NoError(t, err)
	w.loop = loop
	w.server = httptest.NewServer(loop.Handler())
	t.Cleanup(func() {
		w.server.Close()
		require.NoError(t, loop.Close(context.Background()))
	})
	return w
}

// start bootstraps the loop on the rows before first, and goes on from there.
func (w *world) start(first int) {
	w.t.Helper()
	w.row = first
	w.clock.Store(at(first).UnixMilli())
	require.NoError(w.t, w.loop.FitFirst(w.t.Context(), at(first), w.stream.table.Slice(0, first)))
}

// run replays rows until the given one, with a step at each midnight.
func (w *world) run(until int) {
	w.t.Helper()
	for ; w.row < until; w.row++ {
		if w.row%rowsADay == 0 {
			w.step(at(w.row))
		}
		w.clock.Store(at(w.row).UnixMilli())
		w.right[w.row] = w.ask(w.row) == w.label(w.row)
		if old := w.row - rowsADay; w.right[old] || hasRow(w.right, old) {
			w.post("/feedback", map[string]any{"labels": []any{map[string]any{"id": fmt.Sprintf("r%d", old), "value": w.label(old)}}})
		}
	}
}

// step steps the loop, and again once the fit that it may have begun has ended.
func (w *world) step(now time.Time) {
	w.t.Helper()
	require.NoError(w.t, w.loop.Step(w.t.Context(), now))
	require.NoError(w.t, w.loop.Settle(w.t.Context()))
	require.NoError(w.t, w.loop.Step(w.t.Context(), now.Add(time.Minute)))
}

func hasRow(m map[int]bool, row int) bool {
	_, ok := m[row]
	return ok
}

func (w *world) label(row int) int64 { return w.stream.table.Row(row).Get("y").Int() }

// moveAlias is what a person does to the registry; to 0 deletes the alias.
func (w *world) moveAlias(from, to int64) {
	w.t.Helper()
	models := registry.New(w.stores.Registry, w.stores.Artifacts, nil)
	if to == 0 {
		require.NoError(w.t, models.DeleteAlias(w.t.Context(), "churn", registry.Champion, from, registry.Change{}))
		return
	}
	require.NoError(w.t, models.SetAlias(w.t.Context(), "churn", registry.Champion, from, to, registry.Change{Actor: "jo"}))
}

func (w *world) route() serve.Route {
	w.t.Helper()
	r, err := w.stores.Serve.Route(w.t.Context(), "churn")
	require.NoError(w.t, err)
	r.Rev, r.Salt = 0, ""
	return r
}

func (w *world) ask(row int) int64 {
	r := w.stream.table.Row(row)
	tensor := func(name string) map[string]any {
		return map[string]any{"name": name, "shape": []int{1}, "datatype": "FP64", "data": []float64{r.Get(name).Float()}}
	}
	body := w.post("/infer", map[string]any{"id": fmt.Sprintf("r%d", row), "inputs": []any{tensor("x"), tensor("z")}})
	var answer struct {
		Outputs []struct {
			Name string
			Data []float64
		}
	}
	require.NoError(w.t, json.Unmarshal(body, &answer))
	for _, o := range answer.Outputs {
		if o.Name == "label" {
			return int64(o.Data[0])
		}
	}
	require.Fail(w.t, "no label in the answer", string(body))
	return 0
}

func (w *world) post(path string, v any) []byte {
	w.t.Helper()
	body, err := json.Marshal(v)
	require.NoError(w.t, err)
	res, err := http.Post(w.server.URL+"/v2/models/churn"+path, "application/json", bytes.NewReader(body))
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	var answer bytes.Buffer
	_, err = answer.ReadFrom(res.Body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, res.StatusCode, answer.String())
	return answer.Bytes()
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
