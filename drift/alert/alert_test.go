package alert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
)

func fired() drift.Alert {
	return drift.Alert{
		ID: "a1", Model: "churn", Version: 3, Source: drift.FeatureDrift, Severity: drift.Critical,
		Columns: []drift.ColumnFinding{{Column: "age", Statistic: "psi", Value: 0.5, Threshold: 0.2, PValue: 1e-9}},
		FiredAt: time.UnixMilli(1_780_000_000_123).UTC(),
	}
}

func resolved() drift.Alert {
	a := fired()
	a.ResolvedAt, a.Reason = a.FiredAt.Add(time.Hour), "back"
	return a
}

// answers is a transport that gives the statuses in turn, and notes what it was sent.
type answers struct {
	statuses []int // 0: no answer
	header   http.Header
	sent     []*http.Request
	bodies   []string
	at       []time.Time
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	a.sent, a.bodies, a.at = append(a.sent, r), append(a.bodies, string(body)), append(a.at, time.Now())
	status := a.statuses[min(len(a.sent), len(a.statuses))-1]
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Header: a.header, Body: io.NopCloser(strings.NewReader("because")), Request: r,
	}, nil
}

func webhook(t *testing.T, a *answers, secret []byte) *alert.Webhook {
	w, err := alert.NewWebhook("https://example.com/hook", &alert.WebhookOptions{Secret: secret, Client: &http.Client{Transport: a}})
	require.NoError(t, err)
	return w
}

func TestWebhookOverHTTP(t *testing.T) {
	var got map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		require.NoError(t, json.NewDecoder(r.Body).Decode(&got))
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	w, err := alert.NewWebhook(server.URL, nil)
	require.NoError(t, err)
	require.NoError(t, w.Send(t.Context(), resolved()))
	require.Equal(t, "drift.alert.resolved", got["type"])
	require.Equal(t, "2026-05-28T21:26:40.123Z", got["timestamp"])
	data := got["data"].(map[string]any)
	require.Equal(t, "a1", data["id"])
	require.Equal(t, "back", data["reason"])
	require.Equal(t, "age", data["columns"].([]any)[0].(map[string]any)["column"])
}

// The signature was computed with Python's hmac and base64.
func TestWebhookSignature(t *testing.T) {
	a := &answers{statuses: []int{200}}
	w, err := alert.NewWebhook("https://example.com", &alert.WebhookOptions{
		Secret: []byte("s3cret"), Client: &http.Client{Transport: a}, Now: func() time.Time { return time.Unix(1_780_000_000, 0) },
	})
	require.NoError(t, err)
	require.NoError(t, w.Send(t.Context(), drift.Alert{ID: "a1", FiredAt: time.Unix(0, 0).UTC()}))
	h := a.sent[0].Header
	require.Equal(t, []string{"a1-fired", "1780000000"}, []string{h.Get("webhook-id"), h.Get("webhook-timestamp")})
	require.Equal(t, body, a.bodies[0])
	require.Equal(t, signature, h.Get("webhook-signature"))
}

const (
	body      = `{"type":"drift.alert.fired","timestamp":"1970-01-01T00:00:00Z","data":{"id":"a1","model":"","version":0,"source":"","severity":"","columns":null,"fired_at":"1970-01-01T00:00:00Z","resolved_at":"0001-01-01T00:00:00Z","reason":""}}`
	signature = "v1,E+9NNuiW85ZyavgHCOyTLdahGooyt+8ZvUTFGJXDuR8="
)

func TestWebhookTriesAgainWhenItCanHelp(t *testing.T) {
	for name, c := range map[string]struct {
		statuses []int
		header   http.Header
		attempts int
		waits    time.Duration // all together
		kind     error
	}{
		"taken at once":          {[]int{204}, nil, 1, 0, nil},
		"taken after two 503":    {[]int{503, 500, 200}, nil, 3, 3 * time.Second, nil},
		"no answer at first":     {[]int{0, 200}, nil, 2, time.Second, nil},
		"429 says when":          {[]int{429, 200}, http.Header{"Retry-After": {"7"}}, 2, 7 * time.Second, nil},
		"429 asks for too long":  {[]int{429, 200}, http.Header{"Retry-After": {"99999"}}, 2, time.Minute, nil},
		"down for good":          {[]int{502}, nil, 4, 7 * time.Second, fault.Unavailable},
		"unreachable for good":   {[]int{0}, nil, 4, 7 * time.Second, fault.Unavailable},
		"refused: no second try": {[]int{403}, nil, 1, 0, fault.Invalid},
		"redirected to no avail": {[]int{304}, nil, 1, 0, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &answers{statuses: c.statuses, header: c.header}
				start := time.Now()
				err := webhook(t, a, nil).Send(t.Context(), fired())
				if c.kind == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.kind)
				}
				require.Len(t, a.sent, c.attempts)
				require.Equal(t, c.waits, time.Since(start))
				for _, b := range a.bodies {
					require.Equal(t, a.bodies[0], b, "every attempt sends the whole message")
				}
			})
		})
	}
}

func TestWebhookEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		a := &answers{statuses: []int{503}}
		err := webhook(t, a, nil).Send(ctx, fired())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "503", "and says what went wrong before")
		require.Len(t, a.sent, 2)
	})
}

func TestWebhookNeedsAnHTTPURL(t *testing.T) {
	for _, u := range []string{"", "ftp://x", "example.com/hook", "https://", "://"} {
		_, err := alert.NewWebhook(u, nil)
		require.ErrorIs(t, err, fault.Invalid, u)
	}
}

// recorder keeps what it is sent and fails when told to.
type recorder struct {
	got  []string
	fail bool
}

func (r *recorder) Send(_ context.Context, a drift.Alert) error {
	if r.fail {
		return errors.New("down")
	}
	r.got = append(r.got, fmt.Sprint(a.ID, a.Firing()))
	return nil
}

func TestDedupPassesEachMessageOnce(t *testing.T) {
	r := &recorder{fail: true}
	d := alert.Dedup(r)
	require.Error(t, d.Send(t.Context(), fired()))
	r.fail = false
	for range 3 {
		require.NoError(t, d.Send(t.Context(), fired()))
	}
	require.NoError(t, d.Send(t.Context(), resolved()))
	require.NoError(t, d.Send(t.Context(), resolved()))
	require.Equal(t, []string{"a1true", "a1false"}, r.got)
}

func TestMultiReachesAllDespiteErrors(t *testing.T) {
	bad, good := &recorder{fail: true}, &recorder{}
	require.ErrorContains(t, alert.Multi(bad, good).Send(t.Context(), fired()), "down")
	require.Len(t, good.got, 1)
}

func TestLogLevels(t *testing.T) {
	var out bytes.Buffer
	s := alert.Log(slog.New(slog.NewTextHandler(&out, nil)))
	warning := fired()
	warning.Severity = drift.Warning
	for _, a := range []drift.Alert{fired(), warning, resolved()} {
		require.NoError(t, s.Send(t.Context(), a))
	}
	lines := strings.Split(out.String(), "\n")
	require.Contains(t, lines[0], "level=ERROR msg=\"drift alert fired\" alert=a1 model=churn version=3")
	require.Contains(t, lines[1], "level=WARN")
	require.Contains(t, lines[2], "level=INFO msg=\"drift alert resolved\"")
	require.Contains(t, lines[2], "lasted=1h0m0s")
}
