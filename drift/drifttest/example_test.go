package drifttest_test

import (
	"testing"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/drifttest"
)

// page wakes somebody up for each alert that is firing.
func page(t *testing.T, s drift.Store, wake func(model string)) {
	alerts, _ := s.Alerts(t.Context(), drift.AlertQuery{Model: "churn", FiringOnly: true})
	for _, a := range alerts {
		wake(a.Model)
	}
}

func Example() {
	// In a test of code that acts on alerts:
	_ = func(t *testing.T) {
		store := drifttest.New(t)
		drifttest.Fire(t, store, "churn", time.Now(), "age")
		woken := ""
		page(t, store, func(model string) { woken = model })
		if woken != "churn" {
			t.Error("nobody was woken up")
		}
		drifttest.RequireAlert(t, store, "churn", "age")
	}
	// Output:
}
