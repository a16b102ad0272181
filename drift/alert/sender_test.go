package alert_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
)

func TestLogLevels(t *testing.T) {
	var out bytes.Buffer
	s := alert.Log(slog.New(slog.NewTextHandler(&out, nil)))
	require.Equal(t, "log", s.Name())
	warning := fired()
	warning.Severity = drift.Warning
	for _, m := range []alert.Message{alert.FromAlert(fired()), alert.FromAlert(warning), alert.FromAlert(resolved()), promoted()} {
		require.NoError(t, s.Send(t.Context(), m))
	}
	lines := strings.Split(out.String(), "\n")
	require.Contains(t, lines[0], `level=ERROR msg="churn version 3: feature drift in age (psi 0.5 over 0.2)" kind=alert.fired model=churn version=3`)
	require.Contains(t, lines[0], "id=a1-fired alert=a1 columns=[age]")
	require.Contains(t, lines[1], "level=WARN")
	require.Contains(t, lines[2], "level=INFO")
	require.Contains(t, lines[3], "level=INFO msg=\"version 4 of churn is champion")
	require.NotPanics(t, func() { require.Equal(t, "log", alert.Log(nil).Name()) })
}

func TestFunc(t *testing.T) {
	var got []string
	f := alert.Func("pager", func(_ context.Context, m alert.Message) error {
		got = append(got, m.ID)
		return errors.New("busy")
	})
	require.Equal(t, "pager", f.Name())
	require.EqualError(t, f.Send(t.Context(), promoted()), "busy")
	require.Equal(t, []string{"churn-17"}, got)
	require.ErrorIs(t, alert.Func("nil", nil).Send(t.Context(), promoted()), fault.Invalid)
}

func TestPermanent(t *testing.T) {
	for kind, permanent := range map[error]bool{
		fault.Invalid: true, fault.Denied: true, fault.Unsupported: true,
		fault.Unavailable: false, fault.NotFound: false, fault.Closed: false,
	} {
		require.Equal(t, permanent, alert.Permanent(fmt.Errorf("outside: %w", fault.Errorf(kind, "x"))), "%v", kind)
	}
	require.False(t, alert.Permanent(errors.New("a function's own")))
	require.False(t, alert.Permanent(fault.Errorf(fault.Unavailable, "x: %w", fault.Invalid)), "the outermost kind counts")
}

type askingToWait struct{ error }

func (askingToWait) RetryAfter() time.Duration { return time.Minute }

func TestRetryAfterOfAnyError(t *testing.T) {
	require.Zero(t, alert.RetryAfter(errors.New("x")))
	require.Zero(t, alert.RetryAfter(nil))
	require.Equal(t, time.Minute, alert.RetryAfter(fmt.Errorf("outside: %w", askingToWait{errors.New("x")})))
}

func TestCheckTellsAllThatCannotWork(t *testing.T) {
	send := func(context.Context, alert.Message) error { return nil }
	require.NoError(t, alert.Check())
	require.NoError(t, alert.Check(
		alert.Log(nil), alert.Func("f", send), alert.Slack("https://hooks.slack.com/services/T0/B0/x", nil),
		alert.Webhook("https://a.example/x", nil), alert.Webhook("https://b.example/x", nil), alert.Alertmanager("http://am:9093", nil)))
	err := alert.Check(nil, alert.Func("", send), alert.Log(nil), alert.Log(nil), alert.Func("g", nil), alert.Slack("nowhere", nil),
		alert.Webhook("https://a.example", &alert.WebhookOptions{Timeout: -1}), alert.Alertmanager("http://am:9093", &alert.AlertmanagerOptions{Hold: -1}))
	require.ErrorIs(t, err, fault.Invalid)
	for _, want := range []string{"sender 0 is nil", "sender 1 has no name", `two senders are named "log"`, "g: the function is nil",
		"slack: the URL is not", "Timeout is negative", "Hold is negative"} {
		require.ErrorContains(t, err, want)
	}
}
