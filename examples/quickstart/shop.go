package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	_ "modernc.org/sqlite" // the shop's own database driver
)

// shop is the service as it was before mlloop: customers in a table, shown over
// HTTP, and what became of them in another.
type shop struct{ db *sql.DB }

const tables = `
CREATE TABLE IF NOT EXISTS customers (
	customer_id TEXT PRIMARY KEY,
	seen_at     INTEGER NOT NULL, -- last visit, milliseconds since 1970
	plan        TEXT NOT NULL,
	region      TEXT NOT NULL,
	spend       REAL,             -- of the last 90 days; unknown for some
	visits      INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS returns (
	customer_id TEXT PRIMARY KEY,
	at          INTEGER NOT NULL  -- when the customer came back, milliseconds since 1970
);
CREATE TABLE IF NOT EXISTS outcomes (
	customer_id TEXT PRIMARY KEY,
	churned     INTEGER NOT NULL, -- 1 for those who did not come back within 30 days, else 0
	known_at    INTEGER NOT NULL  -- when this was written down, milliseconds since 1970
);
CREATE INDEX IF NOT EXISTS outcomes_known_at ON outcomes (known_at)`

func openShop(ctx context.Context, path string) (*shop, error) {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return nil, errors.Join(fmt.Errorf("open the shop's database %s: %w", path, err), db.Close())
	}
	return &shop{db}, nil
}

// Handler serves GET /customers/{id}.
func (s *shop) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /customers/{id}", func(w http.ResponseWriter, r *http.Request) {
		c := struct {
			ID     string   `json:"customer_id"`
			Plan   string   `json:"plan"`
			Region string   `json:"region"`
			Spend  *float64 `json:"spend"`
			Visits int      `json:"visits"`
		}{ID: r.PathValue("id")}
		row := s.db.QueryRowContext(r.Context(), "SELECT plan, region, spend, visits FROM customers WHERE customer_id = ?", c.ID)
		switch err := row.Scan(&c.Plan, &c.Region, &c.Spend, &c.Visits); {
		case errors.Is(err, sql.ErrNoRows):
			http.Error(w, "no such customer", http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(c) // the client went away: nobody to tell
		}
	})
	return mux
}

// bookkeeping writes down every day what became of the customers.
func (s *shop) bookkeeping(ctx context.Context) error {
	daily := time.NewTicker(24 * time.Hour)
	defer daily.Stop()
	for {
		if err := s.recordOutcomes(ctx, time.Now()); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-daily.C:
		}
	}
}

// recordOutcomes writes down who came back, of those whose 30 days are over by now.
func (s *shop) recordOutcomes(ctx context.Context, now time.Time) error {
	_, err := s.db.ExecContext(ctx, `
		INSERT INTO outcomes
		SELECT customer_id, at IS NULL OR at > seen_at + ?1, ?2 FROM customers LEFT JOIN returns USING (customer_id)
		WHERE seen_at <= ?2 - ?1 AND customer_id NOT IN (SELECT customer_id FROM outcomes)`,
		(30 * 24 * time.Hour).Milliseconds(), now.UnixMilli())
	return err
}

// seed fills an empty database with n made-up customers of the 120 days before now.
func (s *shop) seed(ctx context.Context, n int, now time.Time) error {
	var rows int
	if err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM customers").Scan(&rows); err != nil || rows > 0 {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	rng := rand.New(rand.NewPCG(1, 2))
	start := now.Add(-120 * 24 * time.Hour)
	for i := range n {
		seen := start.Add(now.Sub(start) / time.Duration(n) * time.Duration(i))
		if err := makeUp(rng, fmt.Sprintf("c%04d", i+1), seen).insert(ctx, tx); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return s.recordOutcomes(ctx, now)
}

// customer is a made-up customer.
type customer struct {
	id           string
	seen         time.Time
	plan, region string
	spend        sql.NullFloat64
	visits       int
	back         sql.NullInt64 // when the customer comes back, milliseconds since 1970
}

// makeUp draws a customer: those who visit and spend little tend to stay away,
// most of all on the basic plan.
func makeUp(rng *rand.Rand, id string, seen time.Time) customer {
	c := customer{
		id: id, seen: seen,
		plan:   []string{"basic", "plus", "pro"}[rng.IntN(3)],
		region: []string{"east", "north", "south", "west"}[rng.IntN(4)],
		visits: rng.IntN(20),
		spend:  sql.NullFloat64{Float64: math.Exp(3 + rng.NormFloat64()), Valid: rng.IntN(20) > 0},
	}
	risk := 2.5 - 0.3*float64(c.visits) - 0.3*math.Log(c.spend.Float64+1)
	if c.plan == "basic" {
		risk += 1.5
	}
	after := time.Duration(rng.Int64N(int64(30 * 24 * time.Hour)))
	c.back = sql.NullInt64{Int64: seen.Add(after).UnixMilli(), Valid: rng.Float64() >= 1/(1+math.Exp(-risk))}
	return c
}

func (c customer) insert(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", c.id, c.seen.UnixMilli(), c.plan, c.region, c.spend, c.visits)
	if err == nil && c.back.Valid {
		_, err = tx.ExecContext(ctx, "INSERT INTO returns VALUES (?, ?)", c.id, c.back.Int64)
	}
	return err
}
