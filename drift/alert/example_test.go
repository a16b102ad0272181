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
	send := alert.Dedup(alert.Log(logger))
	a := drift.Alert{
		ID: "7f3c", Model: "churn", Version: 3, Source: drift.FeatureDrift, Severity: drift.Warning,
		Columns: []drift.ColumnFinding{{Column: "age"}, {Column: "plan"}}, FiredAt: time.Unix(0, 0),
	}
	_ = send.Send(context.Background(), a)
	_ = send.Send(context.Background(), a) // a second time is passed over
	// Output: level=WARN msg="drift alert fired" alert=7f3c model=churn version=3 source=feature_drift severity=warning columns="[age plan]"
}
