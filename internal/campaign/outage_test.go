package campaign

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/train/frame"
)

var outage = flag.Duration("campaign.outage", 4*time.Second, "how long the database goes away")

// soon is how long a caller waits at most for an answer that needs no database.
const soon = time.Second

// outageWorld is a loop, its callers and a run whose points a logger buffers.
type outageWorld struct {
	t      *testing.T
	loop   *retrain.Loop
	stores *retrain.Stores
	run    *tracking.Run
	logs   *lockedBuffer

	asked, points int
	labelled      []string // that Label said it stored
	slowest       time.Duration
}

// lockedBuffer collects what is logged.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestOutagePostgreSQL takes the database away from a loop, a server and a logger
// that are at work, for -campaign.outage: callers are answered, nothing that was
// acknowledged is lost, and all of it goes on by itself.
func TestOutagePostgreSQL(t *testing.T) {
	server := pgtest.StartServer(t)
	what := task{URL: server.URL, Schema: "mlloop"}
	w := newOutageWorld(t, what)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.loop.Run(ctx) }()
	require.Eventually(t, w.champion, time.Minute, 20*time.Millisecond, "the first champion")
	w.work(50)
	w.label()
	before := w.steppedAt()

	server.Stop()
	refused := 0
	for end := time.Now().Add(*outage); time.Now().Before(end); {
		w.work(10)
		if err := w.labelOne("unlabelled"); err != nil {
			require.ErrorIs(t, err, fault.Unavailable)
			refused++
		}
	}
	require.Positive(t, refused, "labels were refused while they could not be stored")
	status, err := w.loop.Status(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, status.LastError, "Status says what is wrong")
	server.Start()

	began := time.Now()
	require.Eventually(t, func() bool { return w.steppedAt().After(before.Add(outageDays())) }, time.Minute, 20*time.Millisecond, "the loop steps again")
	back := time.Since(began)
	w.work(50)
	require.Eventually(t, func() bool { return w.loop.Server().Flush(t.Context()) == nil }, time.Minute, 20*time.Millisecond, "the log is stored")
	w.label()
	require.NoError(t, w.loop.Retrain(t.Context(), "after the outage"))
	require.Eventually(t, func() bool { return w.retrained("after the outage") }, time.Minute, 20*time.Millisecond, "a retraining is begun")
	stop()
	require.NoError(t, <-ran)
	require.NoError(t, w.loop.Close(t.Context()))
	w.check()
	t.Logf("campaign: away for %s: %d predictions, %d points, %d labels; %d labels refused meanwhile; the slowest answer took %s; steps again after %s",
		*outage, w.asked, w.points, len(w.labelled), refused, w.slowest.Round(time.Microsecond), back.Round(time.Millisecond))
}

// outageDays is the time of the loop's world that passes in an outage.
func outageDays() time.Duration { return *outage * speed }

func newOutageWorld(t *testing.T, what task) *outageWorld {
	t.Helper()
	w := &outageWorld{t: t, stores: openStores(t, what), logs: &lockedBuffer{}}
	logger := slog.New(slog.NewTextHandler(w.logs, nil))
	c := clock{time.Now()}
	config := loopConfig(w.stores, c, 1)
	config.Logger = logger
	var err error
	w.loop, err = retrain.New(config)
	require.NoError(t, err)
	client := tracking.New(w.stores.Tracking, &tracking.Options{Logger: logger, FlushInterval: 50 * time.Millisecond})
	w.run, err = client.Start(t.Context(), "outage", &tracking.RunOptions{ID: "outage"})
	require.NoError(t, err)
	return w
}

func (w *outageWorld) champion() bool { return slices.Contains(w.loop.Server().Models(), model) }

// work asks for predictions and logs points: both are answered at once, whether
// there is a database or not.
func (w *outageWorld) work(n int) {
	w.t.Helper()
	for range n {
		began := time.Now()
		x, _ := rowOf(int64(w.asked))
		_, err := w.loop.Server().Predict(w.t.Context(), model, serve.Request{ID: fmt.Sprint("o", w.asked), Inputs: []frame.Tensor{
			{Name: "x", Datatype: frame.FP64, Shape: []int64{1}, Data: []float64{x}},
		}})
		require.NoError(w.t, err)
		w.asked++
		w.run.LogMetric("point", 1, int64(w.points))
		w.points++
		w.slowest = max(w.slowest, time.Since(began))
		require.Less(w.t, time.Since(began), soon, "a caller waited")
		time.Sleep(5 * time.Millisecond)
	}
}

// label gives the labels of all that was asked so far.
func (w *outageWorld) label() {
	w.t.Helper()
	for i := len(w.labelled); i < w.asked; i++ {
		id := fmt.Sprint("o", i)
		require.Eventually(w.t, func() bool { return w.labelOne(id) == nil }, time.Minute, 20*time.Millisecond)
		w.labelled = append(w.labelled, id)
	}
}

func (w *outageWorld) labelOne(id string) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	report, err := w.loop.Server().Label(ctx, model, []serve.LabelInput{{ID: id, Value: frame.IntValue(1)}})
	if err == nil && report.Stored+report.Unchanged != 1 {
		return fault.Errorf(fault.NotFound, "the prediction %s is not known", id)
	}
	return err
}

func (w *outageWorld) steppedAt() time.Time {
	status, err := w.loop.Status(w.t.Context())
	require.NoError(w.t, err)
	return status.SteppedAt
}

func (w *outageWorld) retrained(why string) bool {
	found, err := w.loop.Retrainings(w.t.Context())
	for _, r := range found {
		for _, c := range r.Causes {
			if c.Detail == why {
				return err == nil
			}
		}
	}
	return false
}

// check compares what is stored with what was acknowledged.
func (w *outageWorld) check() {
	w.t.Helper()
	ctx := w.t.Context()
	require.NoError(w.t, w.run.Finish(ctx))
	history, err := w.stores.Tracking.MetricHistory(ctx, "outage", "point")
	require.NoError(w.t, err)
	require.Len(w.t, history, w.points)
	var ids []string
	for i := range w.asked {
		ids = append(ids, fmt.Sprint("o", i))
	}
	found, err := w.stores.Serve.Lookup(ctx, model, ids)
	require.NoError(w.t, err)
	answered, labels := make(map[string]int), make(map[string]int)
	for _, p := range found {
		if p.Variant != serve.Shadow {
			answered[p.ID]++
			if p.Truth.Seq > 0 {
				labels[p.ID]++
			}
		}
	}
	for i, id := range ids {
		require.Equal(w.t, 1, answered[id], "prediction %s", id)
		if i < len(w.labelled) {
			require.Equal(w.t, 1, labels[id], "label %s", id)
		}
	}
	require.NotContains(w.t, w.logs.String(), pgtest.Password, "no password is logged")
}
