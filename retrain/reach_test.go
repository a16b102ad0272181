package retrain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

// TestObstacles: what stood in the way is told with its reason and its setting.
func TestObstacles(t *testing.T) {
	pass := Verdict{Gate: "shadow: non-inferior: log_loss by 5 %", Outcome: Pass}
	early := Verdict{Gate: "canary 5 %: no harm", Outcome: Undetermined, Reason: "2 calls answered"}
	late := Verdict{Gate: "canary 25 %: no harm", Outcome: Undetermined, Reason: "12 labels"}
	gate := Verdict{Gate: "non-inferior: auc by 0.05", Outcome: Undetermined, Reason: "14 rows"}
	for _, c := range []struct {
		r             Retraining
		name, setting string
	}{
		{Retraining{Stage: Inconclusive, Verdicts: []Verdict{pass, early, late}}, late.Gate, "Rollout.Bake"},
		{Retraining{Stage: Inconclusive, Verdicts: []Verdict{gate}}, gate.Gate, "Config.Holdout"},
		{Retraining{Stage: Rejected, Verdicts: []Verdict{{Gate: gate.Gate, Outcome: Fail}}}, gate.Gate, "look at Data"},
		{Retraining{Stage: Failed, Reason: "no"}, "failed", "Retrainings"},
	} {
		name, o := obstacleOf(c.r)
		require.Equal(t, c.name, name)
		require.Contains(t, o.Setting, c.setting)
	}
	var g ledger
	for range 4 {
		g.end(monday, Retraining{Stage: Inconclusive, Champion: 1, Verdicts: []Verdict{gate}})
	}
	require.Equal(t, 4, g.Obstacles[gate.Gate].Times)
	require.Equal(t, "14 rows", g.Obstacles[gate.Gate].Reason)
	g.end(monday, Retraining{Stage: Promoted, Champion: 1})
	require.Empty(t, g.Obstacles)
}

// TestHoldoutTime: the holdout that a first comparison waits for is as long as
// its rows take to come.
func TestHoldoutTime(t *testing.T) {
	l := &Loop{config: Config{Gates: []Gate{NonInferior("log_loss", 0.05), SmokeTest()}}}
	require.Equal(t, 446, termsOf(l.config).gateRows())
	for _, c := range []struct {
		rows int64
		days int
		want time.Duration
	}{
		{3000, 90, 321 * time.Hour}, // 446 of 3,000 rows in 90 days
		{90, 90, 27 * day},          // 30 % at most
		{1e6, 90, leastHoldout},     // a week at least
		{0, 0, leastHoldout},        // not on record
	} {
		got := l.holdoutTime(registry.Lineage{Rows: c.rows, DataFrom: monday, DataTo: monday.Add(time.Duration(c.days) * day)})
		require.Equal(t, c.want, got, "%d rows in %d days", c.rows, c.days)
	}
	l.config.Holdout = 3 * day
	require.Equal(t, 3*day, l.holdoutTime(registry.Lineage{Rows: 90, DataFrom: monday, DataTo: monday.Add(90 * day)}))
}
