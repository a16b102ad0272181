package retraintest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

func TestTriggers(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	quiet := retrain.Situation{Now: now, LastStart: now.Add(-time.Hour)}
	loud := quiet
	loud.Alerts = []drift.Alert{{ID: "a", Source: drift.FeatureDrift}}
	for _, trigger := range []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("auc", 0.1), retrain.Every(time.Minute), retrain.Cron("0 * * * *")} {
		retraintest.RunTrigger(t, trigger, quiet, loud)
	}
}

func TestGates(t *testing.T) {
	good, bad := retraintest.Candidate(480, 0.8, 0.9), retraintest.Candidate(480, 0.8, 0.5)
	for _, gate := range []retrain.Gate{retrain.NonInferior("accuracy", 0.05), retrain.AtLeast("accuracy", 0.7), retrain.AtLeast("log_loss", 0.6)} {
		retraintest.RunGate(t, gate, good, bad)
		pass, err := gate.Judge(t.Context(), good)
		require.NoError(t, err)
		require.Equal(t, retrain.Pass, pass.Outcome, pass.Reason)
		fail, err := gate.Judge(t.Context(), bad)
		require.NoError(t, err)
		require.Equal(t, retrain.Fail, fail.Outcome, fail.Reason)
	}
}
