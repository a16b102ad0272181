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

// shop is the service as it was before mlloop: customers in a table, shown over HTTP.
type shop struct{ db *sql.DB }

const customers = `CREATE TABLE IF NOT EXISTS customers (
	customer_id TEXT PRIMARY KEY,
	seen_at     INTEGER NOT NULL, -- last visit, milliseconds since 1970
	plan        TEXT NOT NULL,
	region      TEXT NOT NULL,
	spend       REAL,             -- of the last 90 days; unknown for some
	visits      INTEGER NOT NULL,
	churned     INTEGER           -- 30 days after the visit: 1 for those who never came back, else 0
)`

func openShop(ctx context.Context, path string) (*shop, error) {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, customers); err != nil {
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

// seed fills an empty table with made-up customers of the 120 days before now:
// those who visit and spend little tend to leave, most of all on the basic plan.
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
		plan := []string{"basic", "plus", "pro"}[rng.IntN(3)]
		region := []string{"east", "north", "south", "west"}[rng.IntN(4)]
		visits := rng.IntN(20)
		spend := sql.NullFloat64{Float64: math.Exp(3 + rng.NormFloat64()), Valid: rng.IntN(20) > 0}
		risk := 2.5 - 0.3*float64(visits) - 0.3*math.Log(spend.Float64+1)
		if plan == "basic" {
			risk += 1.5
		}
		churned := sql.NullBool{Bool: rng.Float64() < 1/(1+math.Exp(-risk)), Valid: now.Sub(seen) > 30*24*time.Hour}
		_, err := tx.ExecContext(ctx, "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?)",
			fmt.Sprintf("c%04d", i+1), seen.UnixMilli(), plan, region, spend, visits, churned)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}
