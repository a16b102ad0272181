package alert_test

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
)

func Example() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	sender := alert.Log(logger)
	_ = sender.Send(context.Background(), alert.FromAlert(drift.Alert{
		ID: "7f3c", Model: "churn", Version: 3, Source: drift.FeatureDrift, Severity: drift.Warning,
		Columns: []drift.ColumnFinding{{Column: "age", Statistic: "psi", Value: 0.31, Threshold: 0.2}}, FiredAt: time.Unix(0, 0).UTC(),
	}))
	// Output: level=WARN msg="churn version 3: feature drift in age (psi 0.31 over 0.2)" kind=alert.fired model=churn version=3 at=1970-01-01T00:00:00.000Z id=7f3c-fired alert=7f3c columns=[age]
}
