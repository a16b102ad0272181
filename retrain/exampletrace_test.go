package retrain_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/traintest"
)

// A customer asks why she got the answer that she got. Digests and the id of the
// training run are left out here, since they change with the release.
func ExampleLoop_Trace() {
	ctx, stores := context.Background(), retraintest.NewStores()
	loop, err := retrain.New(retrain.Config{
		Model: "churn", Stores: stores, Data: retrain.Query(openShop(), "SELECT seen_at, visits, churned FROM customers WHERE seen_at < ?", retrain.AgoMilli(0)),
		Time: "seen_at", Label: "churned", Trainer: new(traintest.Fake),
		Now: func() time.Time { return monday }, Logger: slog.New(slog.DiscardHandler),
	})
	check(err)
	check(loop.FitFirst(ctx, monday, nil))
	_, err = loop.Server().Predict(ctx, "churn", serve.Request{
		ID: "request 7", Inputs: []frame.Tensor{{Name: "visits", Shape: []int64{1}, Datatype: frame.INT64, Data: []int64{3}}},
	})
	check(err)

	trace, err := loop.Trace(ctx, "request 7")
	check(err)
	for line := range strings.Lines(trace.String()) {
		what, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch what {
		case "outputs", "bundle", "data", "training run", "configuration", "program":
			fmt.Printf("  %s: …\n", what)
		default:
			fmt.Print(line)
		}
	}
	check(loop.Close(ctx))
	// Output:
	// prediction request 7 of churn
	// 2026-03-02T00:00:00Z  row 0, attempt 1: version 1, primary, answered (chosen with probability 1, route 1)
	//   inputs: visits=3
	//   outputs: …
	// version 1, approved, registered 2026-03-02T00:00:00Z
	//   bundle: …
	//   data: …
	//   training run: …
	//   retraining: churn/0, a first fit, promoted: the first fit
	//   cause: first: there is no champion
	//   configuration: …
	//   champion from: 2026-03-02T00:00:00Z, by mlloop/retrain: retraining churn/0: the first fit
}
