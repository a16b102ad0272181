package retrain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/metric"
)

// answered returns n answers of two classes, of which the given number is right.
func answered(n, right int) metric.Scores {
	s := metric.Scores{Classes: 2}
	for i := range n {
		s.Labels = append(s.Labels, 0)
		if i < right {
			s.Probabilities = append(s.Probabilities, 0.9, 0.1)
		} else {
			s.Probabilities = append(s.Probabilities, 0.1, 0.9)
		}
	}
	return s
}

func TestTriggers(t *testing.T) {
	alert := drift.Alert{ID: "a1", Source: drift.FeatureDrift, Columns: []drift.ColumnFinding{{Column: "price"}, {Column: "demand"}}}
	usual := map[string]float64{"accuracy": 0.9, "log_loss": 0.3}
	for _, c := range []struct {
		name      string
		trigger   Trigger
		situation Situation
		detail    string // "": nothing is wanted
	}{
		{"no alert", OnDrift(), Situation{}, ""},
		{"an alert", OnDrift(), Situation{Alerts: []drift.Alert{alert}}, "feature_drift: price, demand"},
		{"as good as before", OnDecay("accuracy", 0.05), Situation{Live: answered(500, 450), Baseline: usual}, ""},
		{"within the drop", OnDecay("accuracy", 0.05), Situation{Live: answered(500, 430), Baseline: usual}, ""},
		{"worse, but perhaps by chance", OnDecay("accuracy", 0.05), Situation{Live: answered(500, 420), Baseline: usual}, ""},
		{"surely worse", OnDecay("accuracy", 0.05), Situation{Live: answered(500, 380), Baseline: usual}, "accuracy 0.760"},
		{"lower is better", OnDecay("log_loss", 0.05), Situation{Live: answered(500, 200), Baseline: usual}, "log_loss"},
		{"few labels say nothing", OnDecay("accuracy", 0.05), Situation{Live: answered(99, 0), Baseline: usual}, ""},
		{"no baseline says nothing", OnDecay("auc", 0.05), Situation{Live: answered(500, 0), Baseline: usual}, ""},
		{"too early", Every(10 * day), Situation{Now: dayZero.Add(10*day - 1), LastStart: dayZero}, ""},
		{"due", Every(10 * day), Situation{Now: dayZero.Add(10 * day), LastStart: dayZero}, "every 240h"},
		// 1 January 2026 is a Thursday: the next Monday, 03:00, is on the 5th.
		{"before Monday", Cron("0 3 * * 1"), Situation{Now: time.Date(2026, 1, 5, 2, 59, 0, 0, time.UTC), LastStart: dayZero}, ""},
		{"on Monday", Cron("0 3 * * 1"), Situation{Now: time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC), LastStart: dayZero}, "cron 0 3 * * 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cause, err := c.trigger.Wanted(c.situation)
			require.NoError(t, err)
			if c.detail == "" {
				require.Nil(t, cause)
				return
			}
			require.NotNil(t, cause)
			require.Contains(t, cause.Detail, c.detail)
		})
	}
}

func TestTriggerErrors(t *testing.T) {
	_, err := Cron("every monday").Wanted(Situation{Now: dayZero, LastStart: dayZero})
	require.ErrorIs(t, err, ErrInvalid)
	_, err = OnDecay("fame", 0.1).Wanted(Situation{Live: answered(500, 0), Baseline: map[string]float64{"fame": 1}})
	require.ErrorIs(t, err, ErrInvalid)
}
