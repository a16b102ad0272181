package retrain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

var dayZero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// past returns a history: a first fit on day 0, then retrainings with the given
// stages, ten days apart.
func past(stages ...Stage) []Retraining {
	history := []Retraining{{Number: 0, Stage: Promoted, StartedAt: dayZero}}
	for i, s := range stages {
		n := int64(i + 1)
		history = append(history, Retraining{ID: "m/" + string(rune('0'+n)), Number: n, Champion: 1, Stage: s, StartedAt: dayZero.Add(time.Duration(n) * 10 * day)})
	}
	return history
}

func TestPolicyPermits(t *testing.T) {
	for _, c := range []struct {
		name    string
		policy  Policy
		now     time.Duration // since day 0
		history []Retraining
		resumed int64
		refusal string // "": permitted
	}{
		{"the first retraining needs no cooldown", Policy{Cooldown: 100 * day}, day, past(), -1, ""},
		{"the cooldown runs from the last beginning", Policy{Cooldown: 5 * day}, 14 * day, past(Promoted), -1, "cooling down"},
		{"and ends", Policy{Cooldown: 5 * day}, 15 * day, past(Promoted), -1, ""},
		{"a rejected one cools down too", Policy{Cooldown: 5 * day}, 14 * day, past(Rejected), -1, "cooling down"},
		{"one at a time", Policy{}, 400 * day, past(Canarying), -1, "under way"},
		{"the budget holds back the second of one", Policy{Per: 30 * day}, 29 * day, past(Promoted), -1, "budget"},
		{"until it grows", Policy{Per: 30 * day}, 30 * day, past(Promoted), -1, ""},
		{"an unused budget adds up", Policy{Per: 5 * day}, 31 * day, past(Promoted, Promoted, Promoted), -1, ""},
		{"two failures of two stop the loop", Policy{MaxFailures: 2}, 400 * day, past(Failed, RolledBack), -1, "call Resume"},
		{"a rejection is no failure", Policy{MaxFailures: 2}, 400 * day, past(Failed, Rejected), -1, ""},
		{"nor does it break a row of them", Policy{MaxFailures: 2}, 400 * day, past(Failed, Rejected, Failed), -1, "call Resume"},
		{"a promotion does", Policy{MaxFailures: 2}, 400 * day, past(Failed, Promoted, Failed), -1, ""},
		{"Resume forgives", Policy{MaxFailures: 2}, 400 * day, past(Failed, Failed), 2, ""},
		{"five in a row is the default", Policy{}, 400 * day, past(Failed, Failed, Failed, Failed, Failed), -1, "call Resume"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reason, ok := c.policy.permits(dayZero.Add(c.now), c.history, c.resumed)
			require.Equal(t, c.refusal == "", ok, reason)
			require.Contains(t, reason, c.refusal)
		})
	}
}
