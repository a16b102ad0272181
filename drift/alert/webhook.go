package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
)

// WebhookOptions configures a webhook; the zero value of a field is its
// default.
type WebhookOptions struct {
	// Secret signs every message, if there is one (Standard Webhooks 1.0: the
	// header webhook-signature is "v1," and the base64 HMAC-SHA256 of
	// "<webhook-id>.<webhook-timestamp>.<body>").
	Secret   []byte
	Timeout  time.Duration // of one attempt; default 10 s
	Attempts int           // default 4
	Backoff  time.Duration // before the second attempt, doubling from there; default 1 s
	Client   *http.Client  // default: http.DefaultClient
	Now      func() time.Time
}

// maxWait bounds the pause that a receiver can ask for with Retry-After.
const maxWait = time.Minute

// Webhook posts each alert to a URL as JSON,
//
//	{"type": "drift.alert.fired", "timestamp": "2026-01-02T03:04:05.678Z", "data": {…}}
//
// with the drift.Alert as data and the type drift.alert.resolved for its end.
// A status of 429 or 5xx, or no answer, is tried again. It is safe for
// concurrent use.
type Webhook struct {
	url  string
	opts WebhookOptions
}

// NewWebhook returns a sender that posts to an http or https URL. It does no
// I/O. Errors: Invalid.
func NewWebhook(rawURL string, opts *WebhookOptions) (*Webhook, error) {
	u, err := url.Parse(rawURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fault.Errorf(fault.Invalid, "alert: webhook: %q is no http or https URL", rawURL)
	}
	var o WebhookOptions
	if opts != nil {
		o = *opts
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 4
	}
	if o.Backoff == 0 {
		o.Backoff = time.Second
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Webhook{url: rawURL, opts: o}, nil
}

// Send implements Sender. Errors: Invalid when the receiver refuses the
// message (a status of 4xx but 429), Unavailable when the attempts are used
// up, the context's when it is done.
func (w *Webhook) Send(ctx context.Context, a drift.Alert) error {
	body, err := w.body(a)
	if err != nil {
		return fmt.Errorf("alert: webhook: alert %s: %w", a.ID, err)
	}
	for attempt := 1; ; attempt++ {
		wait, err := w.post(ctx, messageID(a), body)
		if err == nil {
			return nil
		}
		if wait < 0 || attempt >= w.opts.Attempts {
			return fmt.Errorf("alert: webhook: alert %s, attempt %d: %w", a.ID, attempt, err)
		}
		wait = max(wait, w.opts.Backoff<<(attempt-1))
		select {
		case <-ctx.Done():
			return fmt.Errorf("alert: webhook: alert %s: %w after: %w", a.ID, ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

func (w *Webhook) body(a drift.Alert) ([]byte, error) {
	kind, at := "drift.alert.fired", a.FiredAt
	if !a.Firing() {
		kind, at = "drift.alert.resolved", a.ResolvedAt
	}
	return json.Marshal(struct {
		Type      string      `json:"type"`
		Timestamp time.Time   `json:"timestamp"`
		Data      drift.Alert `json:"data"`
	}{kind, at.UTC(), a})
}

// post makes one attempt. The wait is how long the receiver wants to be left
// alone, and negative when another attempt cannot help.
func (w *Webhook) post(ctx context.Context, id string, body []byte) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opts.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	stamp := strconv.FormatInt(w.opts.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", stamp)
	if len(w.opts.Secret) > 0 {
		mac := hmac.New(sha256.New, w.opts.Secret)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		request.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	response, err := w.opts.Client.Do(request)
	if err != nil {
		return 0, fault.Errorf(fault.Unavailable, "no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 512)) // for the error only
	switch code := response.StatusCode; {
	case code < 300:
		return 0, nil
	case code == http.StatusTooManyRequests || code >= 500:
		return retryAfter(response.Header), fault.Errorf(fault.Unavailable, "the receiver answered %s: %s", response.Status, said)
	default:
		return -1, fault.Errorf(fault.Invalid, "the receiver answered %s: %s", response.Status, said)
	}
}

// retryAfter reads the header's seconds; 0 without any.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxWait)
}
