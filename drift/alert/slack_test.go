package alert_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
)

// The files follow docs.slack.dev: an incoming webhook's text and blocks, the
// section and context blocks, the text object.
func TestSlackBodies(t *testing.T) {
	warning := fired()
	warning.Severity = drift.Warning
	for file, m := range map[string]alert.Message{
		"slack_fired.json": alert.FromAlert(fired()), "slack_warning.json": alert.FromAlert(warning),
		"slack_resolved.json": alert.FromAlert(resolved()), "slack_event.json": promoted(),
	} {
		golden(t, file, sendSlack(t, m))
	}
}

func sendSlack(t *testing.T, m alert.Message) string {
	t.Helper()
	a := &answers{status: 200, body: "ok"}
	s := alert.Slack("https://hooks.slack.com/services/T0/B0/x", &alert.SlackOptions{Client: &http.Client{Transport: a}})
	require.NoError(t, s.Send(t.Context(), m))
	require.Equal(t, "application/json", a.sent[0].Header.Get("Content-Type"))
	require.Equal(t, "/services/T0/B0/x", a.sent[0].URL.Path)
	return a.bodies[0]
}

// What Slack documents that it answers (api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks,
// docs.slack.dev/apis/web-api/rate-limits).
func TestSlackAnswers(t *testing.T) {
	for said, c := range map[string]struct {
		status int
		kind   error
	}{
		"invalid_payload": {400, fault.Invalid}, "user_not_found": {400, fault.Invalid}, "action_prohibited": {403, fault.Denied},
		"channel_not_found": {404, fault.Invalid}, "channel_is_archived": {410, fault.Invalid},
		"rollup_error": {500, fault.Unavailable}, "rate_limited": {429, fault.Unavailable},
	} {
		a := &answers{status: c.status, body: said, header: http.Header{"Retry-After": {"30"}}}
		err := alert.Slack("https://hooks.slack.com/services/T0/B0/x", &alert.SlackOptions{Client: &http.Client{Transport: a}}).Send(t.Context(), promoted())
		require.Equal(t, c.kind, fault.Kind(err), said)
		require.ErrorContains(t, err, said)
		if c.status == 429 {
			require.Equal(t, 30*time.Second, alert.RetryAfter(err))
		}
	}
}

func TestSlackTextIsNeverEmpty(t *testing.T) {
	m := promoted()
	m.Text = " "
	require.Contains(t, sendSlack(t, m), `"text":"churn: promoted"`)
}

type slackBody struct {
	Text   string
	Blocks []struct {
		Text     *struct{ Type, Text string }
		Elements []struct{ Type, Text string }
	}
}

var unescape = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")

func FuzzSlackEscapes(f *testing.F) {
	f.Add("a < b & c > d", "churn")
	f.Add("<!channel> <@U1> &amp;\n", "<http://x|y>")
	f.Add(strings.Repeat("&", 700), strings.Repeat("😀", 1600))
	f.Add(strings.Repeat("x", 2999)+"&", "\xff\x00")
	f.Fuzz(func(t *testing.T, text, model string) {
		var body slackBody
		require.NoError(t, json.Unmarshal([]byte(sendSlack(t, alert.Message{ID: "1", Model: model, Kind: "promoted", Severity: drift.Info, Text: text})), &body))
		require.Len(t, body.Blocks, 2)
		require.Equal(t, body.Text, body.Blocks[0].Text.Text)
		for _, got := range []string{body.Text, body.Blocks[1].Elements[0].Text} {
			require.NotEmpty(t, got)
			require.LessOrEqual(t, len(utf16.Encode([]rune(got))), 3000)
			require.True(t, utf8.ValidString(got))
			require.NotContains(t, got, "<")
			require.NotContains(t, got, ">")
			require.NotContains(t, got, "\n")
			plain := unescape.Replace(got)
			require.Equal(t, got, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(plain), "each & begins an escape")
		}
		if clean := strings.TrimSpace(text); clean == text && text != "" && len(text) < 500 && utf8.ValidString(text) && !strings.ContainsFunc(text, isControl) {
			require.Equal(t, text, unescape.Replace(body.Text), "nothing is lost")
		}
	})
}

func isControl(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) || r == 0x2028 || r == 0x2029 }
