package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
)

// WebhookOptions configures Webhook; the zero value of a field is its default.
type WebhookOptions struct {
	// Secret signs every message, if there is one (Standard Webhooks 1.0: the
	// header webhook-signature is "v1," and the base64 HMAC-SHA256 of
	// "<webhook-id>.<webhook-timestamp>.<body>"). It is the bytes themselves, not
	// their form "whsec_<base64>".
	Secret  []byte
	Name    string           // default webhook:<host>
	Timeout time.Duration    // of an attempt; default 10 s
	Client  *http.Client     // default http.DefaultClient; its CheckRedirect is not used
	Now     func() time.Time // for webhook-timestamp; default time.Now
}

type webhook struct {
	poster
	sign func(content []byte) string // a closure, so that no print shows the secret
	now  func() time.Time
}

// Webhook returns a sender that posts each message to an http or https URL, as
// Standard Webhooks 1.0 asks:
//
//	{"type": "alert.fired", "timestamp": "2026-01-02T03:04:05.678Z", "data": {
//		"id": "7f3c-fired", "model": "churn", "version": 3, "severity": "critical", "text": "…", "alert": {…}}}
//
// with the drift.Alert as alert, for alerts only, and no version for a message
// about the model. The header webhook-id is the message's ID, with characters
// that the header or the signature cannot hold as %XX. A status of 2xx is taken;
// 408, 425, 429, 5xx or no answer is of kind Unavailable, 401, 403 and 407 are
// Denied, all others Invalid. A URL that cannot work is told by Check, and by
// every Send.
func Webhook(url string, opts *WebhookOptions) Sender {
	var o WebhookOptions
	if opts != nil {
		o = *opts
	}
	w := webhook{poster: newPoster("webhook", url, o.Name, o.Timeout, o.Client), now: o.Now}
	if w.now == nil {
		w.now = time.Now
	}
	if secret := slices.Clone(o.Secret); len(secret) > 0 {
		w.sign = func(content []byte) string {
			mac := hmac.New(sha256.New, secret)
			mac.Write(content)
			return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
	}
	return w
}

type webhookBody struct {
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"`
	Data      webhookData `json:"data"`
}

type webhookData struct {
	ID       string         `json:"id"`
	Model    string         `json:"model"`
	Version  int64          `json:"version,omitempty"`
	Severity drift.Severity `json:"severity"`
	Text     string         `json:"text"`
	Alert    *drift.Alert   `json:"alert,omitempty"`
}

// Send implements Sender.
func (w webhook) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(webhookBody{m.Kind, m.Time.UTC(), webhookData{m.ID, m.Model, m.Version, m.Severity, m.Text, m.Alert}})
	if err != nil { // a number of the alert that is not finite, a year beyond 9999
		return w.wrong(m.ID, fault.Invalid, "%w", err)
	}
	id, stamp := headerID(m.ID), strconv.FormatInt(w.now().Unix(), 10)
	header := http.Header{}
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", stamp)
	if w.sign != nil {
		header.Set("Webhook-Signature", w.sign(fmt.Appendf(nil, "%s.%s.%s", id, stamp, body)))
	}
	return w.post(ctx, m.ID, header, body)
}

// headerID escapes what a header cannot hold, and the dot, which parts the
// content that is signed.
func headerID(id string) string {
	var out []byte
	for _, b := range []byte(id) {
		if b <= ' ' || b > '~' || b == '.' || b == '%' {
			out = fmt.Appendf(out, "%%%02X", b)
		} else {
			out = append(out, b)
		}
	}
	return string(out)
}
