package retrain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/traintest"
)

// visitors yields a customer an hour for thirty days before now, of whom those
// who visit seldom leave.
func visitors(_ context.Context, now time.Time) (*frame.Table, error) {
	schema := frame.Schema{{Name: "seen_at", Kind: frame.Time}, {Name: "visits", Kind: frame.Float64}, {Name: "churned", Kind: frame.String}}
	rows := make([]frame.Row, 30*24)
	for i := range rows {
		visits := i * 7 % 20
		rows[i] = frame.Row{Values: []frame.Value{
			frame.TimeValue(now.Add(time.Duration(i-len(rows)) * time.Hour).UnixMilli()),
			frame.FloatValue(float64(visits)), frame.StringValue(fmt.Sprint(visits < 8)),
		}}
	}
	return frame.FromRows(schema, rows)
}

// faultySource is a LabelSource that fails or hangs when it is told to.
type faultySource struct {
	err  error
	hang chan struct{} // until it is closed; nil: it does not
	in   chan struct{} // closed when it hangs
}

func (s *faultySource) Labels(context.Context, time.Time, func(retrain.KnownLabel) error) error {
	if s.hang != nil {
		close(s.in)
		<-s.hang
	}
	return s.err
}

// faultyStore is a Store whose reads hang, and whose writes of the state fail,
// when they are told to.
type faultyStore struct {
	retrain.Store
	hang  atomic.Bool
	write error
}

func (s *faultyStore) Cursor(ctx context.Context, model, sender string) (retrain.Cursor, error) {
	if s.hang.Load() {
		select {}
	}
	return s.Store.Cursor(ctx, model, sender)
}

func (s *faultyStore) PutState(ctx context.Context, state retrain.State) error {
	if s.write != nil {
		return s.write
	}
	return s.Store.PutState(ctx, state)
}

// faultyDrift cannot save when it is told so.
type faultyDrift struct {
	drift.Store
	err error
}

func (s *faultyDrift) Save(ctx context.Context, c drift.Checkpoint, changed []drift.Alert) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Save(ctx, c, changed)
}

// watched is a loop in memory with parts that can be made to fail.
type watched struct {
	*retrain.Loop
	labels *faultySource
	store  *faultyStore
	drift  *faultyDrift
	now    time.Time // of the loop's clock
	asked  int
}

// newWatched returns a loop that has fitted its first champion, on a monday.
func newWatched(t *testing.T) *watched { return newWatchedWith(t, func(*retrain.Config) {}) }

func newWatchedWith(t *testing.T, change func(*retrain.Config)) *watched {
	t.Helper()
	stores := retraintest.NewStores()
	w := &watched{labels: &faultySource{}, store: &faultyStore{Store: stores.Retrain}, drift: &faultyDrift{Store: stores.Drift}, now: monday}
	stores.Retrain, stores.Drift = w.store, w.drift
	c := retrain.Config{
		Model: "churn", Stores: stores, Data: retrain.SourceFunc(visitors), Labels: w.labels,
		Time: "seen_at", Label: "churned", Trainer: new(traintest.Fake),
		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("auc", 0.03), retrain.Cron("0 3 * * 1"), retrain.Every(60 * day)},
		Alerts:   []alert.Sender{alert.Func("pager", func(context.Context, alert.Message) error { return errors.New("the pager is off") })},
		Now:      func() time.Time { return w.now },
		Logger:   slog.New(slog.DiscardHandler),
	}
	change(&c)
	var err error
	w.Loop, err = retrain.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close(context.Background())) })
	retraintest.StepAndSettle(t, w.Loop, monday)
	retraintest.RequirePromoted(t, w.Loop, 1)
	return w
}

// ask asks about one customer for each number of visits.
func (w *watched) ask(t *testing.T, visits ...float64) {
	t.Helper()
	w.asked++
	_, err := w.Server().Predict(t.Context(), "churn", serve.Request{
		ID:     fmt.Sprintf("r%d", w.asked),
		Inputs: []frame.Tensor{{Name: "visits", Shape: []int64{int64(len(visits))}, Datatype: frame.FP64, Data: visits}},
	})
	require.NoError(t, err)
}

// shift asks as many times as a window has rows about visits that never were.
func (w *watched) shift(t *testing.T) {
	t.Helper()
	for range 20 {
		visits := make([]float64, 100)
		for i := range visits {
			visits[i] = 1000 + float64(i)
		}
		w.ask(t, visits...)
	}
}

// scrape returns what a scrape sees: series by name and labels but that of the
// model, which each must have.
func (w *watched) scrape(t *testing.T) (series map[string]string, text string) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.Metrics().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	require.Contains(t, rec.Header().Get("Content-Type"), "text/plain; version=0.0.4")
	series, text = make(map[string]string), rec.Body.String()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		require.Contains(t, name, `model="churn"`)
		require.True(t, strings.HasPrefix(name, "mlloop_"), name)
		name = strings.NewReplacer(`model="churn",`, "", `,model="churn"`, "", `{model="churn"}`, "").Replace(name)
		series[name] = value
	}
	return series, text
}

func requireSeries(t *testing.T, series, want map[string]string) {
	t.Helper()
	for name, value := range want {
		require.Equal(t, value, series[name], name)
	}
}

func (w *watched) ready(t *testing.T) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v2/health/ready", nil))
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
}

func TestMetrics(t *testing.T) {
	w := newWatched(t)
	w.ask(t, 3, 17)
	w.ask(t, 5)
	w.labels.err = errors.New("the outcomes are away")
	for minute := 1; minute <= 2; minute++ {
		require.ErrorContains(t, w.Step(t.Context(), monday.Add(time.Duration(minute)*time.Minute)), "the outcomes are away")
	}
	w.labels.err = nil
	require.NoError(t, w.Step(t.Context(), monday.Add(3*time.Minute)))
	w.labels.err = errors.New("the outcomes are away")
	require.Error(t, w.Step(t.Context(), monday.Add(4*time.Minute)))
	require.NoError(t, w.Deliver(t.Context(), monday.Add(4*time.Minute)))
	require.NoError(t, w.Pause(t.Context(), "a test"))
	w.now = monday.Add(5 * time.Minute)
	w.ready(t)
	series, text := w.scrape(t)
	requireSeries(t, series, map[string]string{
		`mlloop_request_duration_seconds_count{status="answered",variant="primary",version="1"}`: "2",
		`mlloop_request_rows_total{status="answered",variant="primary",version="1"}`:             "3",
		`mlloop_step_failures_total{part="labels"}`:                                              "3",
		`mlloop_step_failures_in_a_row{part="labels"}`:                                           "1",
		`mlloop_step_failures_total{part="watch"}`:                                               "0",
		`mlloop_step_failures_total{part="Triggers[1]"}`:                                         "0",
		`mlloop_step_age_seconds`:                                                                "60",
		`mlloop_last_step_timestamp_seconds`:                                                     "1.77240984e+09",
		`mlloop_retraining_stage{stage="idle"}`:                                                  "1",
		`mlloop_retraining_stage{stage="fitting"}`:                                               "0",
		`mlloop_retrainings_total`:                                                               "1",
		`mlloop_champion_version`:                                                                "1",
		`mlloop_alerts_firing{source="feature_drift"}`:                                           "0",
		`mlloop_paused`:                                   "1",
		`mlloop_log_queue_rows`:                           "0",
		`mlloop_log_backlog_rows`:                         "0",
		`mlloop_sender_failures_in_a_row{sender="pager"}`: "1",
	})
	require.NotEqual(t, "0", series[`mlloop_sender_backlog_messages{sender="pager"}`])
	require.NotContains(t, series, "mlloop_label_lag_seconds", "no label has come")
	require.NotContains(t, series, "mlloop_retraining_number", "none is under way")

	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestMetricsOfARetraining(t *testing.T) {
	w := newWatched(t)
	w.ask(t, 3, 17)
	report, err := w.Server().Label(t.Context(), "churn", []serve.LabelInput{
		{ID: "r1", Value: frame.StringValue("true")}, {ID: "r1", Index: 1, Value: frame.StringValue("perhaps")},
	})
	require.NoError(t, err)
	require.Equal(t, 1, report.Stored)
	require.NoError(t, w.Retrain(t.Context(), "a person asked"))
	require.NoError(t, w.Step(t.Context(), monday.Add(8*day)))
	series, _ := w.scrape(t)
	requireSeries(t, series, map[string]string{
		`mlloop_retraining_stage{stage="idle"}`:    "0",
		`mlloop_retraining_stage{stage="fitting"}`: "1",
		`mlloop_retraining_number`:                 "1",
		`mlloop_leading`:                           "1",
		`mlloop_lease_token`:                       "1",
		`mlloop_retrainings_total`:                 "2",
		`mlloop_labels_refused_total`:              "1",
		`mlloop_label_lag_seconds`:                 "691200",
	})
	require.NoError(t, w.Settle(t.Context()))
}

// TestScrapeWaitsForNothing scrapes while a step hangs, and so does a store.
func TestScrapeWaitsForNothing(t *testing.T) {
	w := newWatched(t)
	w.labels.hang, w.labels.in = make(chan struct{}), make(chan struct{})
	stepped := make(chan error)
	go func() { stepped <- w.Step(t.Context(), monday.Add(time.Minute)) }()
	<-w.labels.in
	w.store.hang.Store(true)
	w.now = monday.Add(time.Hour + time.Millisecond)
	series, _ := w.scrape(t)
	require.Equal(t, "3600", series[`mlloop_step_age_seconds`], "it shows that no step comes to its end")
	w.ready(t)
	w.store.hang.Store(false)
	close(w.labels.hang)
	require.NoError(t, <-stepped)
}

// TestMetricsTellWhatCanBeTold has a sender with a name that is no text.
func TestMetricsTellWhatCanBeTold(t *testing.T) {
	w := newWatched(t)
	loop, err := retrain.New(retrain.Config{
		Model: "churn2", Stores: retraintest.NewStores(), Data: retrain.SourceFunc(visitors), Time: "seen_at", Label: "churned",
		Trainer: new(traintest.Fake), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Alerts: []alert.Sender{alert.Func("pager \xff", func(context.Context, alert.Message) error { return nil })},
	})
	require.NoError(t, err)
	require.NoError(t, loop.Deliver(t.Context(), monday))
	rec := httptest.NewRecorder()
	loop.Metrics().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, rec.Code)
	require.Contains(t, rec.Body.String(), "mlloop_sender_backlog_messages{model=\"churn2\",sender=\"pager \uFFFD\"} 0")
	require.NoError(t, loop.Close(t.Context()))
	series, _ := w.scrape(t)
	require.NotContains(t, series, "churn2", "two loops share no registry")
}
