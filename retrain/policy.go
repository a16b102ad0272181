package retrain

import (
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Policy bounds what triggers may start. At most one retraining of a model is
// under way at a time, whatever the policy says.
type Policy struct {
	// Cooldown is the least time between the beginnings of two retrainings. 0: none.
	Cooldown time.Duration
	// Per is the budget: one retraining may begin at once and one more for every
	// Per since the first champion. What is not used adds up. 0: no budget.
	Per time.Duration
	// MaxFailures is how many retrainings in a row may fail or be rolled back
	// before the loop starts no more, until Resume. A rejection is no failure: the
	// gates did their work. 0: 5.
	MaxFailures int
}

const defaultMaxFailures = 5

func (p Policy) check(problems *fault.Problems) {
	if p.Cooldown < 0 || p.Per < 0 || p.MaxFailures < 0 {
		problems.Addf("Policy: Cooldown, Per and MaxFailures must not be negative")
	}
}

// permits reports whether a retraining may begin now, and if not, why not.
// resumedAt is the Number up to which failures have been forgiven.
func (p Policy) permits(now time.Time, history []Retraining, resumedAt int64) (reason string, ok bool) {
	if p.stopped(history, resumedAt) {
		return fmt.Sprintf("%d retrainings in a row failed: look at Retrainings, then call Resume", failuresInARow(history, resumedAt)), false
	}
	var begun int
	var last Retraining
	for _, r := range history {
		if r.Champion > 0 { // a first fit replaces nothing and costs no budget
			begun, last = begun+1, r
		}
	}
	if begun == 0 {
		return "", true
	}
	if !last.Stage.Final() {
		return fmt.Sprintf("retraining %s is under way", last.ID), false
	}
	if since := now.Sub(last.StartedAt); since < p.Cooldown {
		return fmt.Sprintf("cooling down: the last one began %s ago, the policy wants %s", since, p.Cooldown), false
	}
	if p.Per > 0 && begun >= 1+int(now.Sub(firstPromotion(history))/p.Per) {
		return fmt.Sprintf("the budget of one every %s is used up: %d have begun", p.Per, begun), false
	}
	return "", true
}

// firstPromotion is when the fit of the first champion began.
func firstPromotion(history []Retraining) time.Time {
	for _, r := range history {
		if r.Stage == Promoted {
			return r.StartedAt
		}
	}
	return history[0].StartedAt
}

// stopped reports whether failures in a row have stopped the loop.
func (p Policy) stopped(history []Retraining, resumedAt int64) bool {
	limit := p.MaxFailures
	if limit == 0 {
		limit = defaultMaxFailures
	}
	return failuresInARow(history, resumedAt) >= limit
}

func failuresInARow(history []Retraining, resumedAt int64) int {
	n := 0
	for i := len(history) - 1; i >= 0; i-- {
		switch r := history[i]; {
		case r.Number <= resumedAt || r.Stage == Promoted:
			return n
		case r.Stage == Failed || r.Stage == RolledBack:
			n++
		}
	}
	return n
}
