package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
)

// SlackOptions configures Slack; the zero value of a field is its default.
type SlackOptions struct {
	Name    string        // default slack; a second one needs a name
	Timeout time.Duration // of an attempt; default 10 s
	Client  *http.Client  // default http.DefaultClient; its CheckRedirect is not used
}

type slack struct{ poster }

// Slack returns a sender that posts each message to an incoming webhook of Slack
// (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks), or of
// what speaks the same, as a text for notifications and two blocks: the text, and
// below it the severity, kind, model, version and time. Texts are escaped and cut
// to the 3,000 characters of a block. Errors as of Webhook; on status 429
// RetryAfter is what Slack asks for.
func Slack(url string, opts *SlackOptions) Sender {
	var o SlackOptions
	if opts != nil {
		o = *opts
	}
	return slack{newPoster("slack", url, o.Name, o.Timeout, o.Client)}
}

type slackBody struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"` // section has a Text, context has Elements
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"` // a name in a text is not turned into a mention
}

// slackLimit is the longest text of a block.
const slackLimit = 3000

// Send implements Sender.
func (s slack) Send(ctx context.Context, m Message) error {
	text := m.Text
	if strings.TrimSpace(text) == "" { // Slack refuses an empty text
		text = m.Model + ": " + m.Kind
	}
	sign := map[drift.Severity]string{drift.Critical: ":red_circle: ", drift.Warning: ":warning: "}[m.Severity]
	if m.Kind == KindResolved {
		sign = ":white_check_mark: "
	}
	about := []string{string(m.Severity), m.Kind, m.Model}
	if m.Version != 0 {
		about = append(about, fmt.Sprintf("version %d", m.Version))
	}
	about = append(about, m.Time.UTC().Format("2006-01-02 15:04:05 UTC"))
	text = sign + slackEscape(text, slackLimit-len(sign))
	body, err := json.Marshal(slackBody{Text: text, Blocks: []slackBlock{
		{Type: "section", Text: &slackText{"mrkdwn", text, true}},
		{Type: "context", Elements: []slackText{{"mrkdwn", slackEscape(strings.Join(about, " · "), slackLimit), true}}},
	}})
	if err != nil {
		return s.wrong(m.ID, fault.Invalid, "%w", err)
	}
	return s.post(ctx, m.ID, http.Header{}, body)
}

// slackEscape replaces the three characters that Slack's markup gives a meaning
// to (docs.slack.dev/messaging/formatting-message-text), and cuts what is longer
// than limit, counted in UTF-16 as the stricter reading of "characters", never
// within an escape.
func slackEscape(s string, limit int) string {
	const more = "…"
	var out strings.Builder
	length, fits := 0, 0 // fits: bytes that leave room for the mark of a cut
	for _, r := range oneLine(s) {
		escaped := string(r)
		switch r {
		case '&':
			escaped = "&amp;"
		case '<':
			escaped = "&lt;"
		case '>':
			escaped = "&gt;"
		}
		n := len(escaped)
		if n == len(string(r)) {
			n = utf16.RuneLen(r)
		}
		if length+n > limit {
			return out.String()[:fits] + more
		}
		length += n
		out.WriteString(escaped)
		if length < limit {
			fits = out.Len()
		}
	}
	return out.String()
}
