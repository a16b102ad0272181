package retrain_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/traintest"
)

// TestStatusOfAWatchThatFails keeps what was known before: an alert has not
// resolved because nobody can look, and what nobody reads is counted.
func TestStatusOfAWatchThatFails(t *testing.T) {
	w := newWatched(t)
	w.shift(t)
	require.NoError(t, w.Pause(t.Context(), "so that no retraining answers the alert"))
	require.NoError(t, w.Step(t.Context(), monday.Add(time.Minute)))
	s, err := w.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, s.Alerts, 1)
	require.Zero(t, s.Backlog)
	require.Equal(t, "drift: wanted, alerts firing: 1", s.Triggers[0])

	w.ask(t, 1, 2, 3)
	w.drift.err = errors.New("the disk is full")
	require.ErrorContains(t, w.Step(t.Context(), monday.Add(2*time.Minute)), "the disk is full")
	s, err = w.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, s.Alerts, 1)
	require.Equal(t, drift.FeatureDrift, s.Alerts[0].Source)
	require.Equal(t, retrain.Backlog{Rows: 3}, s.Backlog)
	require.Equal(t, "watch: the disk is full", s.LastError)
	require.Equal(t, monday.Add(2*time.Minute), s.FailingSince)
	series, _ := w.scrape(t)
	require.Equal(t, "1", series[`mlloop_alerts_firing{source="feature_drift"}`])
	require.Equal(t, "3", series[`mlloop_log_backlog_rows`])

	w.drift.err = nil
	require.NoError(t, w.Step(t.Context(), monday.Add(3*time.Minute)))
	s, err = w.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, s.Alerts, 1)
	require.Zero(t, s.Backlog)
	require.Empty(t, s.LastError)
}

// TestStateThatCannotBeStored is a failing part like any other: it is told once,
// counted, and the step does not count as made.
func TestStateThatCannotBeStored(t *testing.T) {
	w := newWatched(t)
	before, err := w.Status(t.Context())
	require.NoError(t, err)
	w.store.write = errors.New("the disk is full")
	for minute := 1; minute <= 3; minute++ {
		require.ErrorContains(t, w.Step(t.Context(), monday.Add(time.Duration(minute)*time.Minute)), "the disk is full")
	}
	s, err := w.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, before.SteppedAt, s.SteppedAt)
	require.Equal(t, []retrain.Failure{{Part: "state", Error: "the disk is full", Since: monday.Add(time.Minute), Count: 3}}, s.Failing)
	require.Contains(t, retraintest.RequireEvent(t, w.Loop, retrain.EventStepFailing).Text, "state fails, and is tried again at each step: the disk is full")
	w.store.write = nil
	require.NoError(t, w.Step(t.Context(), monday.Add(4*time.Minute)))
	require.Equal(t, "state works again", retraintest.RequireEvent(t, w.Loop, retrain.EventStepRecovered).Text)
	s, err = w.Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, s.Failing)
	events, err := w.Events(t.Context(), 0)
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, e := range events {
		kinds[e.Kind]++
	}
	require.Equal(t, 1, kinds[retrain.EventStepFailing], "one event a cause")
}

// TestStatusTellsWhatIsWaitedFor also has a trigger that does not say, and one
// that panics.
func TestStatusTellsWhatIsWaitedFor(t *testing.T) {
	w := newWatched(t)
	require.NoError(t, w.Step(t.Context(), monday.Add(time.Minute)))
	s, err := w.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{
		"drift: no alert is firing",
		"decay of auc by 0.03: 0 labels, of 100 that it needs",
		"cron 0 3 * * 1: next at 2026-03-02T03:00:00Z",
		"every 1440h0m0s: next at 2026-05-01T00:00:00Z",
	}, s.Triggers)
}

type panickingWaiter struct{ retrain.TriggerFunc }

func (panickingWaiter) Waits(retrain.Situation) string { panic("no words") }

func TestTriggersThatCannotSayWhatTheyWaitFor(t *testing.T) {
	wantNothing := retrain.TriggerFunc(func(retrain.Situation) (*retrain.Cause, error) { return nil, nil })
	w := newWatchedWith(t, func(c *retrain.Config) {
		c.Triggers = []retrain.Trigger{wantNothing, panickingWaiter{wantNothing}}
	})
	s, err := w.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Triggers[0] (retrain.TriggerFunc) does not say what it waits for", s.Triggers[0])
	require.Contains(t, s.Triggers[1], "Triggers[1] cannot say what it waits for: panic: no words")
}

func TestWaits(t *testing.T) {
	const right = 30 // of a hundred, the others are wrong
	live := metric.Scores{Classes: 2}
	for i := range 100 {
		p := 0.1
		if i < right {
			p = 0.9
		}
		live.Labels, live.Probabilities = append(live.Labels, 1), append(live.Probabilities, 1-p, p)
	}
	waits := func(trigger retrain.Trigger, s retrain.Situation) string { return trigger.(retrain.Waiter).Waits(s) }
	few := metric.Scores{Classes: 2, Labels: live.Labels[:57], Probabilities: live.Probabilities[:2*57]}
	baseline := map[string]float64{"accuracy": 0.8, "log_loss": 0.4}
	require.Equal(t, "decay of accuracy by 0.1: 57 labels, of 100 that it needs",
		waits(retrain.OnDecay("accuracy", 0.1), retrain.Situation{Live: few, Baseline: baseline}))
	require.Equal(t, "decay of accuracy by 0.1: wanted when 0.396, the favourable end of the interval on the last 100 labels, is below 0.700",
		waits(retrain.OnDecay("accuracy", 0.1), retrain.Situation{Live: live, Baseline: baseline}))
	require.Equal(t, "decay of auc by 0.1: no auc of the champion is on record to compare with",
		waits(retrain.OnDecay("auc", 0.1), retrain.Situation{Live: live, Baseline: baseline}))
	require.Contains(t, waits(retrain.OnDecay("log_loss", 0.1), retrain.Situation{Live: live, Baseline: baseline}), "is above 0.500")
	require.Equal(t, "every 24h0m0s: due since 2026-03-03T00:00:00Z",
		waits(retrain.Every(day), retrain.Situation{Now: monday.Add(2 * day), LastStart: monday}))
	require.Equal(t, "cron 0 3 * * 1: due since 2026-03-02T03:00:00Z",
		waits(retrain.Cron("0 3 * * 1"), retrain.Situation{Now: monday.Add(2 * day), LastStart: monday}))
}

// noEngine is an engine whose database refuses it.
type noEngine struct{ retrain.Engine }

func (noEngine) Launch(context.Context) error { return errors.New("permission denied") }

// TestStatusOfAnEngineThatCannotBeLaunched shows what keeps a process from
// leading, although it follows the route meanwhile, and since when.
func TestStatusOfAnEngineThatCannotBeLaunched(t *testing.T) {
	stores := retraintest.NewStores()
	stores.Engine = noEngine{stores.Engine}
	now := monday
	loop, err := retrain.New(retrain.Config{
		Model: "churn", Stores: stores, Data: retrain.SourceFunc(visitors), Time: "seen_at", Label: "churned",
		Trainer: new(traintest.Fake), Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, loop.Close(context.Background())) }()
	for minute := range 3 {
		now = monday.Add(time.Duration(minute) * time.Minute)
		require.ErrorContains(t, loop.Step(t.Context(), now), "permission denied")
	}
	s, err := loop.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, s.Failing, 1)
	require.Equal(t, 3, s.Failing[0].Count)
	require.Contains(t, s.LastError, "permission denied")
	require.Equal(t, monday, s.FailingSince)
}
