package alert

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// target is the URL that a sender posts to, a secret whole: many receivers know
// their sender by nothing else. It is kept in closures, so that printing a value
// that holds it, with whatever verb, shows addresses only.
type target struct {
	host   string // with the port; no secret
	url    func() *url.URL
	pieces func() []string // what gives the secret away in a text
}

// Shorter pieces of a URL than these give nothing away, and are in every text.
const (
	minSegment = 6
	minValue   = 4
)

// newTarget parses an http or https URL. Errors: Invalid, without the URL.
func newTarget(rawURL string) (target, error) {
	u, err := url.Parse(rawURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return target{}, fault.Errorf(fault.Invalid, "the URL is not one of http or https with a host")
	}
	pieces := secretPieces(u, rawURL)
	return target{
		host:   u.Host,
		url:    func() *url.URL { return u },
		pieces: func() []string { return pieces },
	}, nil
}

func secretPieces(u *url.URL, rawURL string) []string {
	pieces := []string{rawURL, u.String()}
	add := func(least int, texts ...string) {
		for _, s := range texts {
			if len(s) >= least {
				pieces = append(pieces, s)
			}
		}
	}
	add(minValue, u.Path, u.EscapedPath(), u.RawQuery, u.Fragment)
	add(minSegment, strings.Split(u.Path, "/")...)
	add(minSegment, strings.Split(u.EscapedPath(), "/")...)
	for _, pair := range strings.Split(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		add(minValue, value)
	}
	for _, values := range u.Query() {
		add(minValue, values...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(minValue, u.User.String(), u.User.Username(), password)
	}
	slices.Sort(pieces)
	return slices.Compact(pieces)
}

// shown is how much of a foreign text gets into an error, in bytes.
const shown = 300

// enough is how much of a foreign text must be read so that every piece of the
// secret that begins in what is shown is seen whole.
func (t target) enough() int64 {
	longest := 0
	for _, p := range t.pieces() {
		longest = max(longest, len(p))
	}
	return int64(shown + longest)
}

// clean returns the beginning of a foreign text on one line, or says why it is
// left out.
func (t target) clean(text string) string {
	for _, p := range t.pieces() {
		if strings.Contains(text, p) {
			return "(a text that repeats the secret URL, left out)"
		}
	}
	return cut(strings.TrimSpace(text), shown)
}

// cut returns at most the first n bytes of a text, on one line.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return oneLine(strings.ToValidUTF8(text, ""))
}
