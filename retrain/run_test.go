package retrain_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// TestRun lets a loop run for thirteen days of its own, in which a cron triggers,
// and stops it: what was answered last is durable, and nothing runs on.
func TestRun(t *testing.T) {
	s := newStream(t, 40*rowsADay, never)
	synctest.Test(t, func(t *testing.T) {
		offset := time.Until(at(20 * rowsADay))
		stores := retraintest.NewStores()
		c := baseConfig(s, stores)
		c.Interval, c.Now = time.Hour, func() time.Time { return time.Now().Add(offset) }
		c.Triggers = []retrain.Trigger{retrain.Cron("0 3 * * 1")}
		c.Rollout = retrain.Rollout{}
		loop, err := retrain.New(c)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- loop.Run(ctx) }()
		time.Sleep(9 * day)
		synctest.Wait()
		retrained := retraintest.RequirePromoted(t, loop, 2)
		require.Equal(t, time.Monday, retrained.StartedAt.Weekday())
		require.Equal(t, 3, retrained.StartedAt.Hour())
		require.Equal(t, []retrain.Cause{{Trigger: "schedule", Detail: "cron 0 3 * * 1"}}, retrained.Causes)

		_, err = loop.Server().Predict(ctx, "churn", rowRequest(s, 700))
		require.NoError(t, err)
		stop()
		require.NoError(t, <-done)
		counts, err := stores.Serve.Counts(t.Context(), "churn")
		require.NoError(t, err)
		require.EqualValues(t, 1, counts.Predictions)
		require.NoError(t, loop.Close(t.Context()))
		require.ErrorIs(t, loop.Run(t.Context()), retrain.ErrClosed, "a closed loop does not run in vain")
		require.NoError(t, stores.Close(t.Context()))
	}) // fails when a goroutine is left
}

// TestHandlerPaths checks that the handler has what its comment says, and no
// more: nothing that changes the model.
func TestHandlerPaths(t *testing.T) {
	w := newWorld(t, newStream(t, 30*rowsADay, never), nil)
	retraintest.StepAndSettle(t, w.loop, at(25*rowsADay))
	for path, want := range map[string]int{
		"GET /v2":                         http.StatusOK,
		"GET /v2/health/live":             http.StatusOK,
		"GET /v2/health/ready":            http.StatusOK,
		"GET /v2/models":                  http.StatusOK,
		"GET /v2/models/churn":            http.StatusOK,
		"GET /v2/models/churn/ready":      http.StatusOK,
		"GET /v2/models/fraud":            http.StatusNotFound,
		"POST /v2/models/churn/infer":     http.StatusBadRequest, // it is there and wants a body
		"POST /v2/models/churn/feedback":  http.StatusBadRequest,
		"GET /":                           http.StatusNotFound,
		"GET /metrics":                    http.StatusNotFound,
		"PUT /v2/models/churn":            http.StatusMethodNotAllowed,
		"POST /v2/models/churn/load":      http.StatusNotFound,
		"POST /v2/repository/models/load": http.StatusNotFound,
	} {
		var method, url string
		_, err := fmt.Sscanf(path, "%s %s", &method, &url)
		require.NoError(t, err)
		answer := httptest.NewRecorder()
		w.loop.Handler().ServeHTTP(answer, httptest.NewRequest(method, url, nil))
		require.Equal(t, want, answer.Code, "%s: %s", path, answer.Body)
	}
}

// TestTwoProcesses has two loops of one model, each with stores of its own on
// one database, lead in turns: the events are those of one loop alone.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newStream(t, 32*rowsADay, never)
	alone := newWorld(t, s, nil)
	alone.start(20 * rowsADay)
	alone.run(retrainable)
	require.NoError(t, alone.loop.Retrain(t.Context(), "a person asked"))
	alone.run(31 * rowsADay)

	url := "sqlite:" + filepath.Join(t.TempDir(), "loop.db") + "?synchronous=normal"
	var both [2]*world
	for i := range both {
		stores, err := retrainsql.Open(t.Context(), url, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, stores.Close(context.Background())) })
		both[i] = newWorldOn(t, s, stores, func(c *retrain.Config) { c.Lease = 100 * time.Millisecond })
	}
	both[0].start(20 * rowsADay)
	for d := 20; d < 31; d++ {
		now, next := both[d%2], both[(d+1)%2]
		require.NoError(t, now.loop.Lead(t.Context()))
		if d == 25 {
			require.NoError(t, next.loop.Retrain(t.Context(), "a person asked"), "asked of the one, done by the other")
		}
		now.runDays(1)
		require.NoError(t, now.loop.Server().Flush(t.Context()), "labels may come in at the other one")
		next.row, next.told = now.row, now.told
	}
	require.Equal(t, alone.kinds(), both[0].kinds())
	require.Equal(t, alone.route(), both[1].route())
	retraintest.RequirePromoted(t, both[1].loop, 2)
}

// TestClosedUnderStep closes the engine in the middle of a fit: the next step
// says so, and the retraining has not failed.
func TestClosedUnderStep(t *testing.T) {
	t.Parallel()
	s, url := newStream(t, 40*rowsADay, never), "sqlite:"+filepath.Join(t.TempDir(), "loop.db")
	stores, err := retrainsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	c := baseConfig(s, stores)
	started := make(chan struct{})
	c.Trainer = blockingTrainer{started}
	loop, err := retrain.New(c)
	require.NoError(t, err)
	require.NoError(t, loop.Step(t.Context(), at(20*rowsADay)))
	<-started
	require.NoError(t, stores.Engine.Close(t.Context()))
	require.ErrorIs(t, loop.Step(t.Context(), at(20*rowsADay+1)), retrain.ErrClosed)
	require.NoError(t, errors.Join(loop.Close(t.Context()), stores.Close(t.Context())))

	stores, err = retrainsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close(context.Background())) })
	w := newWorldOn(t, s, stores, nil)
	retraintest.StepAndSettle(t, w.loop, at(21*rowsADay))
	first := retraintest.RequirePromoted(t, w.loop, 1)
	require.Zero(t, first.Number)
	require.Equal(t, at(20*rowsADay), first.StartedAt, "the fit went on, it did not begin anew")
}
