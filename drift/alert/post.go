package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// defaultTimeout is that of one attempt over HTTP.
const defaultTimeout = 10 * time.Second

// poster posts JSON to one target. It is what the HTTP senders share.
type poster struct {
	name    string
	target  target
	client  *http.Client
	timeout time.Duration
	broken  error // why it can never work
}

func newPoster(kind, rawURL, name string, timeout time.Duration, client *http.Client) poster {
	p := poster{name: name, timeout: timeout}
	if p.timeout == 0 {
		p.timeout = defaultTimeout
	}
	if client == nil {
		client = http.DefaultClient
	}
	own := *client // a redirect would carry the message, and the URL as its referrer, elsewhere
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.client = &own
	if p.target, p.broken = newTarget(rawURL); p.name == "" {
		p.name = kind
		if p.target.host != "" && kind != "slack" { // every Slack has the same host
			p.name += ":" + p.target.host
		}
	}
	if p.broken == nil && p.timeout < 0 {
		p.broken = fault.Errorf(fault.Invalid, "Timeout is negative")
	}
	return p
}

// Name implements Sender.
func (p poster) Name() string { return p.name }

// Check says why the sender can never work.
func (p poster) Check() error {
	if p.broken == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", p.name, p.broken)
}

// post makes one attempt to send the message of the id. Errors: Invalid or
// Denied when the receiver refuses it, Unavailable when another attempt may help,
// the context's when that is done.
func (p poster) post(ctx context.Context, id string, header http.Header, body []byte) error {
	if p.broken != nil {
		return p.wrong(id, fault.Invalid, "%w", p.broken)
	}
	within, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	request := (&http.Request{
		Method: http.MethodPost, URL: p.target.url(), Host: p.target.host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(within)
	header.Set("Content-Type", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return p.noAnswer(ctx, id, err)
	}
	defer func() { _ = response.Body.Close() }()
	return p.judge(id, response)
}

// noAnswer is the error of an attempt that got none. The client's error names
// the URL: only its cause is told.
func (p poster) noAnswer(ctx context.Context, id string, err error) error {
	if cause := ctx.Err(); cause != nil { // the caller's, not the attempt's own timeout
		return p.wrong(id, fault.Unavailable, "no answer: %w", cause)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return p.wrong(id, fault.Unavailable, "no answer within %s", p.timeout)
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return p.wrong(id, fault.Unavailable, "no answer: %s", p.target.clean(err.Error()))
}

// judge turns an answer into the attempt's error.
func (p poster) judge(id string, r *http.Response) error {
	code := r.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	if code >= 300 && code < 400 {
		return p.wrong(id, fault.Invalid, "answered %d, and redirects are not followed: give the URL that it leads to", code)
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, p.target.enough())) // for the error only
	said := http.StatusText(code)
	if text := p.target.clean(string(body)); text != "" {
		said += ": " + text
	}
	switch {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return delayed{p.wrong(id, fault.Unavailable, "answered %d %s", code, said), retryAfter(r.Header)}
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return p.wrong(id, fault.Denied, "answered %d %s", code, said)
	}
	return p.wrong(id, fault.Invalid, "answered %d %s", code, said)
}

func (p poster) wrong(id string, kind error, format string, args ...any) error {
	return fault.Errorf(kind, "alert: %s: message %s: "+format, append([]any{p.name, cut(id, shown)}, args...)...)
}

// delayed is an error whose receiver wants to be left alone for a while.
type delayed struct {
	error
	after time.Duration
}

// Unwrap returns the error.
func (d delayed) Unwrap() error { return d.error }

// RetryAfter returns how long.
func (d delayed) RetryAfter() time.Duration { return d.after }

// retryAfter reads the header, seconds or a date (RFC 9110, 10.2.3); 0 without.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
