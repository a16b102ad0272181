package alert_test

import (
	"context"
	"errors"
	"fmt"
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

// A courier over a log in memory: the pager is out of reach at first, and the
// message is tried again a second later.
func ExampleCourier() {
	log := []alert.Numbered{{Seq: 1, Message: alert.Message{
		ID: "churn-17", Model: "churn", Version: 4, Kind: "promoted", Severity: drift.Info, Time: time.Unix(0, 0), Text: "version 4 of churn is champion",
	}}}
	feed := func(_ context.Context, after int64, limit int) ([]alert.Numbered, error) {
		return log[after:min(int(after)+limit, len(log))], nil
	}
	reachable := false
	pager := alert.Func("pager", func(_ context.Context, m alert.Message) error {
		if !reachable {
			reachable = true
			return errors.New("no signal")
		}
		fmt.Println(m.Text)
		return nil
	})
	courier, err := alert.NewCourier(feed, &cursors{}, []alert.Sender{pager}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, now := context.Background(), time.Unix(60, 0).UTC()
	for range 2 {
		if err := courier.Deliver(ctx, now); err != nil {
			fmt.Println(err)
		}
		status, _ := courier.Status(ctx, now)
		fmt.Printf("%d pending, last error %q\n", status[0].Pending, status[0].LastError)
		now = now.Add(time.Second)
	}
	// Output:
	// 1 pending, last error "no signal"
	// version 4 of churn is champion
	// 0 pending, last error ""
}
