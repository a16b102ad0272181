package driftmem_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftmem"
)

// A checkpoint and the alerts that fired since the last one are saved together.
func Example() {
	ctx := context.Background()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	checkpoint := drift.Checkpoint{Model: "churn", Version: 3, Rev: 1, At: noon}
	changed := []drift.Alert{{ID: "a", Model: "churn", Version: 3, Source: drift.FeatureDrift, FiredAt: noon}} // from Monitor.Check

	store := driftmem.New()
	err := store.Save(ctx, checkpoint, changed)
	firing, _ := store.Alerts(ctx, drift.AlertQuery{Model: "churn", FiringOnly: true})
	fmt.Println(len(firing), firing[0].Source, err)
	// Output: 1 feature_drift <nil>
}
