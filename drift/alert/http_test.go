package alert_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
)

// answers is a transport that gives one answer, and notes what it was sent.
type answers struct {
	status int // 0: no answer
	body   string
	header http.Header
	err    error
	hang   bool // until the request is given up
	sent   []*http.Request
	bodies []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	a.sent, a.bodies = append(a.sent, r), append(a.bodies, string(body))
	if a.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// senders returns each of the HTTP senders over the transport.
func senders(rawURL string, rt http.RoundTripper) []alert.Sender {
	c := &http.Client{Transport: rt}
	return []alert.Sender{
		alert.Webhook(rawURL, &alert.WebhookOptions{Client: c, Secret: []byte("signing-secret-1")}),
		alert.Slack(rawURL, &alert.SlackOptions{Client: c}),
		alert.Alertmanager(rawURL, &alert.AlertmanagerOptions{Client: c}),
	}
}

func TestStatuses(t *testing.T) {
	for status, kind := range map[int]error{
		200: nil, 201: nil, 202: nil, 204: nil,
		301: fault.Invalid, 302: fault.Invalid, 304: fault.Invalid, 307: fault.Invalid, 308: fault.Invalid,
		400: fault.Invalid, 404: fault.Invalid, 410: fault.Invalid, 413: fault.Invalid, 422: fault.Invalid,
		401: fault.Denied, 403: fault.Denied, 407: fault.Denied,
		408: fault.Unavailable, 425: fault.Unavailable, 429: fault.Unavailable,
		500: fault.Unavailable, 502: fault.Unavailable, 503: fault.Unavailable, 504: fault.Unavailable,
	} {
		a := &answers{status: status, body: "be\ncause", header: http.Header{"Location": {"https://elsewhere.example/x"}}}
		for _, s := range senders("https://example.com/hook", a) {
			err := s.Send(t.Context(), alert.FromAlert(fired()))
			require.Equal(t, kind, fault.Kind(err), "%s %d: %v", s.Name(), status, err)
			require.Equal(t, kind == fault.Invalid || kind == fault.Denied, alert.Permanent(err))
			if err != nil {
				require.ErrorContains(t, err, fmt.Sprint("alert: ", s.Name(), ": message a1-fired: answered ", status))
				require.NotContains(t, err.Error(), "\n")
				require.NotContains(t, err.Error(), "elsewhere")
			}
			if status >= 400 {
				require.ErrorContains(t, err, "be cause", "what the receiver said")
			}
		}
		require.Len(t, a.sent, 3, "one attempt each, and no redirect followed")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	for _, s := range senders(server.URL+"/secret-path", nil) {
		require.ErrorIs(t, s.Send(t.Context(), alert.FromAlert(fired())), fault.Invalid)
	}
	require.Zero(t, elsewhere)
}

func TestRetryAfterOfTheReceiver(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "-3": 0, "": 0, "soon": 0, "99999999999": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 0,
		"Sat, 01 Jan 2000 00:02:00 GMT": 2 * time.Minute, // synctest's clock starts at midnight
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, status := range []int{429, 503} {
				a := &answers{status: status, header: http.Header{"Retry-After": {value}}}
				for _, s := range senders("https://example.com/hook", a) {
					require.Equal(t, want, alert.RetryAfter(s.Send(t.Context(), alert.FromAlert(fired()))), value)
				}
			}
		})
	}
}

func TestAnAttemptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, s := range senders("https://example.com/hook", &answers{hang: true}) {
			start := time.Now()
			err := s.Send(t.Context(), alert.FromAlert(fired()))
			require.Equal(t, fault.Unavailable, fault.Kind(err))
			require.ErrorContains(t, err, "no answer within 10s")
			require.Equal(t, 10*time.Second, time.Since(start))

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start = time.Now()
			err = s.Send(ctx, alert.FromAlert(fired()))
			cancel()
			require.Equal(t, time.Second, time.Since(start))
			require.ErrorIs(t, err, context.DeadlineExceeded, "the caller's deadline is told as it is")
		}
	})
}

// endless is a body that never ends.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	e.read += len(b)
	return len(b), nil
}

func (e *endless) Close() error { return nil }

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnAnswerWithoutEndIsCut(t *testing.T) {
	body := &endless{}
	for _, status := range []int{200, 500} {
		for _, s := range senders("https://example.com/hook", transport(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: body, Request: r}, nil
		})) {
			if err := s.Send(t.Context(), alert.FromAlert(fired())); err != nil {
				require.Less(t, len(err.Error()), 500)
			}
		}
	}
	require.Less(t, body.read, 10_000)
}

// Everything a sender says of itself is searched for the parts of a URL that
// let one post in its owner's name.
func TestSecretsAreNotTold(t *testing.T) {
	const rawURL = "https://user-7:pa%40ssw0rd@hooks.example.com:8443/services/T0AAAA/B0BBBB/tok3n%2Fpath?key=qu3ry-key&sig=s%2Fg#fragm3nt"
	secrets := []string{"user-7", "pa%40ssw0rd", "pa@ssw0rd", "tok3n", "qu3ry-key", "s%2Fg", "fragm3nt", "B0BBBB", "signing-secret-1",
		base64.StdEncoding.EncodeToString([]byte("user-7:pa@ssw0rd"))}
	tell := func(what string, texts ...string) {
		for _, text := range texts {
			for _, s := range secrets {
				require.NotContains(t, text, s, what)
			}
		}
	}
	for what, rt := range map[string]*answers{
		"an error that names the URL":     {err: errors.New("dial " + rawURL + ": refused")},
		"an error that names the path":    {err: errors.New("proxy: /services/T0AAAA/B0BBBB/tok3n/path: no")},
		"an error without it":             {err: errors.New("connection refused")},
		"a body that repeats it":          {status: 500, body: "no such hook: " + rawURL},
		"a body that repeats it far down": {status: 404, body: strings.Repeat("x", 250) + rawURL},
		"a body with a path escaped":      {status: 404, body: `{"path":"\/services\/T0AAAA\/B0BBBB\/tok3n%2Fpath"}`},
		"a body with a parameter":         {status: 400, body: "bad key qu3ry-key"},
		"a redirect":                      {status: 302, header: http.Header{"Location": {rawURL}}},
		"all is well":                     {status: 200, body: rawURL},
	} {
		for _, s := range senders(rawURL, rt) {
			tell(what, s.Name(), fmt.Sprintf("%v %+v %#v %s", s, s, s, s))
			printed, err := json.Marshal(s)
			require.NoError(t, err)
			tell(what, string(printed))
			if err := s.Send(t.Context(), alert.FromAlert(fired())); err != nil {
				tell(what, err.Error(), fmt.Sprintf("%+v %#v", err, err))
				for ; err != nil; err = errors.Unwrap(err) {
					tell(what, err.Error())
				}
			}
		}
	}
	const broken = "htps://user-7:pa%40ssw0rd@hooks.example.com/tok3n?qu3ry-key"
	for _, u := range []string{broken, "https://user-7:tok3n\x7f", "://tok3n", "tok3n"} {
		for _, s := range senders(u, nil) {
			tell("a URL that cannot be", s.Name(), alert.Check(s).Error(), s.Send(t.Context(), alert.FromAlert(fired())).Error())
		}
	}
}

// Where what is shown of an answer ends within a secret, none of it is shown.
func TestNoPartOfASecretIsTold(t *testing.T) {
	token := "Zt9" + strings.Repeat("Qw7-", 10)
	for pad := range 320 {
		a := &answers{status: 404, body: strings.Repeat("x", pad) + token}
		err := senders("https://example.com/services/"+token, a)[0].Send(t.Context(), promoted())
		require.NotContains(t, err.Error(), "Zt9Q", "after %d bytes", pad)
	}
}

// golden compares a body with a file that holds the documented shape.
func golden(t *testing.T, file, body string) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	require.JSONEq(t, string(want), body)
}

func TestWebhookBodies(t *testing.T) {
	for file, m := range map[string]alert.Message{
		"webhook_fired.json": alert.FromAlert(fired()), "webhook_resolved.json": alert.FromAlert(resolved()), "webhook_event.json": promoted(),
	} {
		a := &answers{status: 200}
		require.NoError(t, senders("https://example.com/hook", a)[0].Send(t.Context(), m))
		golden(t, file, a.bodies[0])
	}
}

// A receiver checks the signature over what it got, as Standard Webhooks says.
func TestWebhookSignature(t *testing.T) {
	secret := []byte("s3cret")
	for id, header := range map[string]string{"a1": "a1", "churn/12:x": "churn/12:x", "a.b c%\n\xff": "a%2Eb%20c%25%0A%FF"} {
		var valid bool
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mac := hmac.New(sha256.New, secret)
			_, _ = fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
			valid = r.Header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) &&
				r.Header.Get("webhook-id") == header && r.Header.Get("webhook-timestamp") == "1780000000" &&
				r.Header.Get("Content-Type") == "application/json"
		}))
		s := alert.Webhook(server.URL, &alert.WebhookOptions{Secret: secret, Now: func() time.Time { return time.Unix(1_780_000_000, 0) }})
		m := promoted()
		m.ID = id
		require.NoError(t, s.Send(t.Context(), m))
		server.Close()
		require.True(t, valid, id)
	}
}

// The expected signature was computed with Python's hmac and base64 over
// "a1.1780000000.<body>".
func TestWebhookSignatureKnownAnswer(t *testing.T) {
	a := &answers{status: 200}
	s := alert.Webhook("https://example.com", &alert.WebhookOptions{
		Secret: []byte("s3cret"), Client: &http.Client{Transport: a}, Now: func() time.Time { return time.Unix(1_780_000_000, 0) },
	})
	require.NoError(t, s.Send(t.Context(), alert.Message{ID: "a1", Model: "m", Kind: "paused", Severity: drift.Info, Time: time.Unix(0, 0), Text: "x"}))
	require.Equal(t, `{"type":"paused","timestamp":"1970-01-01T00:00:00Z","data":{"id":"a1","model":"m","severity":"info","text":"x"}}`, a.bodies[0])
	require.Equal(t, "v1,l6xm9LvEDJgpwDNA3swdLSsBGc1HKGIvthZIUiNmwyg=", a.sent[0].Header.Get("webhook-signature"))
	require.NoError(t, alert.Webhook("https://example.com", &alert.WebhookOptions{Client: &http.Client{Transport: a}}).Send(t.Context(), promoted()))
	require.Empty(t, a.sent[1].Header.Get("webhook-signature"), "no secret, no signature")
}

func TestWhatJSONCannotHoldIsRefused(t *testing.T) {
	m := promoted()
	m.Time = time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)
	a := &answers{status: 200}
	require.True(t, alert.Permanent(senders("https://example.com", a)[0].Send(t.Context(), m)))
	require.Empty(t, a.sent)
}

func TestAlertmanager(t *testing.T) {
	a := &answers{status: 200}
	s := alert.Alertmanager("https://example.com/am?tenant=7", &alert.AlertmanagerOptions{
		Client: &http.Client{Transport: a}, Now: func() time.Time { return time.UnixMilli(1_780_000_001_000) },
	})
	require.Equal(t, "alertmanager:example.com", s.Name())
	for _, m := range []alert.Message{alert.FromAlert(fired()), alert.FromAlert(resolved()), promoted()} {
		require.NoError(t, s.Send(t.Context(), m))
	}
	require.Len(t, a.sent, 2, "an event is no alert")
	require.Equal(t, "https://example.com/am/api/v2/alerts?tenant=7", a.sent[0].URL.String())
	golden(t, "alertmanager_fired.json", a.bodies[0])
	golden(t, "alertmanager_resolved.json", a.bodies[1])
}

func TestNames(t *testing.T) {
	require.Equal(t, "slack", alert.Slack("https://hooks.slack.com/services/a/b/c", nil).Name())
	require.Equal(t, "ops", alert.Slack("https://hooks.slack.com/services/a/b/c", &alert.SlackOptions{Name: "ops"}).Name())
	require.Equal(t, "webhook:example.com:8443", alert.Webhook("https://u:p@example.com:8443/a?b", nil).Name())
}
