package main

import (
	"bufio"
	"bytes"
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
)

const (
	question = `{"id": "c3999", "inputs": [
		{"name": "plan",   "datatype": "BYTES", "shape": [1], "data": ["basic"]},
		{"name": "region", "datatype": "BYTES", "shape": [1], "data": ["north"]},
		{"name": "spend",  "datatype": "FP64",  "shape": [1], "data": [12.5]},
		{"name": "visits", "datatype": "INT64", "shape": [1], "data": [2]}]}`
	truth = `{"labels": [{"id": "c3999", "value": 1}]}`
)

// TestTheLoopInTheService fits, predicts, takes a label and retrains, in the
// service's own process.
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
	require.NoError(t, loop.Step(ctx, now))

	server := httptest.NewServer(loop.Handler())
	defer server.Close()
	answer := post(t, server.URL+"/v2/models/churn/infer", question)
	require.Contains(t, answer, `"model_version":"1"`)
	require.Contains(t, answer, `"data":[1]`, "a customer who seldom comes is taken to leave")
	post(t, server.URL+"/v2/models/churn/feedback", truth)

	require.NoError(t, loop.Retrain(ctx, "the test asks"))
	require.NoError(t, loop.Step(ctx, now.Add(day)))
	counts, err := stores.Serve.Counts(ctx, "churn")
	require.NoError(t, err)
	require.EqualValues(t, 1, counts.Predictions)
	require.EqualValues(t, 1, counts.Labels)
	all, err := loop.Retrainings(ctx)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, retrain.Shadowing, all[1].Stage, "the gates pass: %v, %s", all[1].Verdicts, all[1].Error)
}

// TestRun is what main does, from the first line printed to Ctrl-C.
func TestRun(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	printed, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", t.TempDir(), out) }()
	line, err := bufio.NewReader(printed).ReadString('\n')
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, printed) }() // the rest of what it prints
	url := regexp.MustCompile(`http://[0-9.:]+[0-9]`).FindString(line)
	post(t, url+"/v2/models/churn/infer", question)

	require.ErrorContains(t, run(ctx, strings.TrimPrefix(url, "http://"), t.TempDir(), io.Discard), "choose another address with -addr")
	interrupt()
	require.NoError(t, <-done)
}

func TestShop(t *testing.T) {
	shop, err := openShop(t.Context(), filepath.Join(t.TempDir(), "shop.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, shop.db.Close()) }()
	require.NoError(t, shop.seed(t.Context(), 100, time.Now()))
	require.NoError(t, shop.seed(t.Context(), 100, time.Now()), "seeding again is a no-op")
	for path, status := range map[string]int{"/customers/c0001": http.StatusOK, "/customers/c0101": http.StatusNotFound} {
		w := httptest.NewRecorder()
		shop.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, status, w.Code, path)
	}
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	res, err := http.Post(url, "application/json", bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(answer))
	return string(answer)
}
