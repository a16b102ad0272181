package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

const (
	question = `{"id": "c3999", "inputs": [
		{"name": "plan",   "datatype": "BYTES", "shape": [1], "data": ["basic"]},
		{"name": "region", "datatype": "BYTES", "shape": [1], "data": ["north"]},
		{"name": "spend",  "datatype": "FP64",  "shape": [1], "data": [12.5]},
		{"name": "visits", "datatype": "INT64", "shape": [1], "data": [2]}]}`
	truth = `{"labels": [{"id": "c3999", "value": 1}]}`
)

// TestTheLoopInTheService fits, predicts, is told the truth by feedback and by
// the shop's outcomes, and retrains, in the service's own process.
func TestTheLoopInTheService(t *testing.T) {
	ctx, dir, now := t.Context(), t.TempDir(), time.Now()
	shop, err := openShop(ctx, filepath.Join(dir, "shop.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, shop.db.Close()) }()
	require.NoError(t, shop.seed(ctx, 4000, now))
	stores, err := retrainsql.Open(ctx, "sqlite:"+filepath.Join(dir, "loop.db"), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, stores.Close(ctx)) }()
	loop, err := newLoop(shop.db, stores)
	require.NoError(t, err)
	defer func() { require.NoError(t, loop.Close(ctx)) }()
	// Nobody is judged on what the first model was fitted on: that was a while ago.
	require.NoError(t, loop.FitFirst(ctx, now.Add(-45*day), nil))

	server := httptest.NewServer(loop.Handler())
	defer server.Close()
	answer := post(t, server.URL+"/v2/models/churn/infer", question)
	require.Contains(t, answer, `"model_version":"1"`)
	require.Contains(t, answer, `"data":[1]`, "a customer who seldom comes is taken to leave")
	require.Equal(t, `{"accepted":1}`, post(t, server.URL+"/v2/models/churn/feedback", truth))
	post(t, server.URL+"/v2/models/churn/infer", strings.Replace(question, "c3999", "c3998", 1))

	require.NoError(t, loop.Retrain(ctx, "the test asks"))
	retraintest.StepAndSettle(t, loop, now)
	retraintest.RequireStage(t, loop, retrain.Shadowing)

	month := now.Add(31 * day)
	require.NoError(t, shop.recordOutcomes(ctx, month))
	retraintest.StepAndSettle(t, loop, month)
	counts, err := stores.Serve.Counts(ctx, "churn")
	require.NoError(t, err)
	require.EqualValues(t, 2, counts.Predictions)
	require.EqualValues(t, 2, counts.Labels, "one came by feedback, one from the outcomes")
}

// TestRun is what main does, from the first line printed to Ctrl-C.
func TestRun(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	printed, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", t.TempDir(), out) }()
	var url string
	for lines := bufio.NewScanner(printed); url == "" && lines.Scan(); {
		url = regexp.MustCompile(`http://[0-9.:]+[0-9]`).FindString(lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, printed) }() // the rest of what it prints
	require.Contains(t, get(t, url+"/v2"), `"name":"mlloop"`)
	get(t, url+"/v2/health/ready")
	post(t, url+"/v2/models/churn/infer", question)

	require.ErrorContains(t, run(ctx, strings.TrimPrefix(url, "http://"), t.TempDir(), io.Discard), "choose another address with -addr")
	interrupt()
	require.NoError(t, <-done)
}

func TestShop(t *testing.T) {
	ctx, now := t.Context(), time.Now()
	shop, err := openShop(ctx, filepath.Join(t.TempDir(), "shop.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, shop.db.Close()) }()
	require.NoError(t, shop.seed(ctx, 100, now))
	require.NoError(t, shop.seed(ctx, 100, now), "seeding again is a no-op")
	for path, status := range map[string]int{"/customers/c0001": http.StatusOK, "/customers/c0101": http.StatusNotFound} {
		w := httptest.NewRecorder()
		shop.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, status, w.Code, path)
	}
	known := func() (n, churned int) {
		require.NoError(t, shop.db.QueryRow("SELECT count(*), sum(churned) FROM outcomes").Scan(&n, &churned))
		return n, churned
	}
	n, churned := known()
	require.Equal(t, 76, n, "a visit every 29 hours, known after 30 days")
	require.InDelta(t, 0.45, float64(churned)/float64(n), 0.15)
	require.NoError(t, shop.recordOutcomes(ctx, now.Add(30*day)))
	n, _ = known()
	require.Equal(t, 100, n)
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	return read(t, res)
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	return read(t, res)
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(answer))
	return string(answer)
}
