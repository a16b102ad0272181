package retrain_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the service's own database

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
)

const day = 24 * time.Hour

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// The whole loop in a service that has a table of customers. Instead of
// loop.Run, which steps by the clock, the example steps on two Mondays, and each
// time once more when the fit that was begun has ended.
func Example() {
	ctx := context.Background()
	appDB := openShop()
	stores := retraintest.NewStores() // in a service: retrainsql.Open(ctx, "sqlite:loop.db", nil)
	loop, err := retrain.New(retrain.Config{
		Model:  "churn",
		Stores: stores,
		Data:   retrain.Query(appDB, "SELECT * FROM customers WHERE seen_at >= ?", retrain.AgoMilli(90*day)),
		Time:   "seen_at", Entity: "customer_id", Label: "churned", LabelDelay: 7 * day,
		Features: feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan")},
		Trainer:  train.MLP{Hidden: []int{8}},
		Gates:    []retrain.Gate{retrain.NonInferior("auc", 0.05), retrain.SmokeTest()},
		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("auc", 0.03), retrain.Cron("0 3 * * 1")},
		Rollout:  retrain.ShadowThenCanary(0.05, 0.25, 1),
		Logger:   slog.New(slog.DiscardHandler),
	})
	check(err)
	http.NewServeMux().Handle("/v2/", loop.Handler()) // predictions, feedback, health
	for _, now := range []time.Time{monday, monday.Add(35*day + 3*time.Hour)} {
		check(loop.Step(ctx, now))
		check(loop.Settle(ctx))
		check(loop.Step(ctx, now.Add(time.Minute)))
	}

	events, err := loop.Events(ctx, 0)
	check(err)
	for _, e := range events {
		fmt.Println(e.Time.Format(time.DateOnly), e.Kind)
	}
	check(loop.Close(ctx))
	// Output:
	// 2026-03-02 retrain.started
	// 2026-03-02 promoted
	// 2026-04-06 clock
	// 2026-04-06 retrain.started
	// 2026-04-06 gate
	// 2026-04-06 gate
	// 2026-04-06 shadow
}

// atMostBytes is a gate of the service's own.
type atMostBytes int64

func (g atMostBytes) Name() string { return "size" }

func (g atMostBytes) Judge(_ context.Context, c retrain.Candidate) (retrain.Verdict, error) {
	var size int64
	for _, f := range c.Bundle.Files() {
		size += f.Size
	}
	v := retrain.Verdict{Gate: g.Name(), Outcome: retrain.Pass, Reason: fmt.Sprintf("%d bytes of at most %d", size, int64(g))}
	if size > int64(g) {
		v.Outcome = retrain.Fail
	}
	return v, nil
}

// A gate is any type with a name and a verdict.
func ExampleGate() {
	gates := []retrain.Gate{retrain.NonInferior("auc", 0.01), atMostBytes(1 << 20)}
	fmt.Println(gates[0].Name(), "and", gates[1].Name())
	// Output: non-inferior: auc by 0.01 and size
}

// A trigger is a function of the situation: this one wants a retraining on the
// first of the month.
func ExampleTriggerFunc() {
	firstOfMonth := retrain.TriggerFunc(func(s retrain.Situation) (*retrain.Cause, error) {
		if s.Now.Day() != 1 || s.Now.Sub(s.LastStart) < day {
			return nil, nil
		}
		return &retrain.Cause{Trigger: "month", Detail: s.Now.Month().String()}, nil
	})
	cause, err := firstOfMonth.Wanted(retrain.Situation{Now: time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)})
	fmt.Println(cause.Trigger, cause.Detail, err)
	// Output: month April <nil>
}

// Query reads the service's own table, as of the time of the step.
func ExampleQuery() {
	source := retrain.Query(openShop(), "SELECT plan, visits FROM customers WHERE seen_at >= ? AND seen_at < ?", retrain.AgoMilli(60*day), retrain.AgoMilli(0))
	rows, err := source.Rows(context.Background(), monday)
	check(err)
	fmt.Println(rows.NumRows(), rows.Schema()[0].Name, rows.Schema()[1].Kind)
	// Output: 1440 plan int64
}

// openShop makes up the service's database: a customer an hour, of whom those
// who visit seldom leave, from 90 days before Monday to 30 days after it.
func openShop() *sql.DB {
	dir, err := os.MkdirTemp("", "shop")
	check(err)
	db, err := sql.Open("sqlite", filepath.Join(dir, "shop.db"))
	check(err)
	_, err = db.Exec(`CREATE TABLE customers (customer_id TEXT, seen_at INTEGER, plan TEXT, visits INTEGER, churned INTEGER);
		WITH RECURSIVE hour(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM hour WHERE n < 2880)
		INSERT INTO customers SELECT 'c' || n, ? + (n - 2161) * 3600000, CASE n % 2 WHEN 0 THEN 'basic' ELSE 'pro' END, n * 7 % 20,
			(n * 7 % 20 + n * 13 % 5 < 8) FROM hour`, monday.UnixMilli())
	check(err)
	return db
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
