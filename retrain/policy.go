package retrain

import (
	"fmt"
	"math"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Policy bounds what triggers may start. At most one retraining of a model is
// under way at a time, whatever the policy says.
type Policy struct {
	// Cooldown is the least time between the beginnings of two retrainings. 0: the
	// longer of 24 hours and Config.LabelDelay. Negative: none.
	Cooldown time.Duration
	// Per is the budget: one retraining may begin at once and one more for every
	// Per since the first champion. What is not used adds up. 0: no budget.
	Per time.Duration
	// MaxFailures is how many retrainings in a row may fail or be rolled back
	// before the loop starts no more, until ResetFailures. A rejection is no
	// failure: the gates did their work. 0: 5.
	MaxFailures int
	// Worse is the factor by which a drift alert must have worsened since it was
	// answered by a retraining to be answered by another one before the back-off
	// is over. 0: 1.5.
	Worse float64
	// MaxBackoff bounds the time that fruitless retrainings make the next one wait:
	// it begins with the cooldown and doubles with each of them in a row. What a
	// schedule or a person wants does not wait for it. 0: 14 days.
	MaxBackoff time.Duration
}

const (
	defaultMaxFailures = 5
	defaultWorse       = 1.5
	defaultMaxBackoff  = 14 * 24 * time.Hour
	defaultCooldown    = 24 * time.Hour
)

func (p Policy) withDefaults(labelDelay time.Duration) Policy {
	switch {
	case p.Cooldown == 0:
		p.Cooldown = max(defaultCooldown, labelDelay)
	case p.Cooldown < 0:
		p.Cooldown = 0
	}
	if p.MaxFailures == 0 {
		p.MaxFailures = defaultMaxFailures
	}
	if p.Worse == 0 {
		p.Worse = defaultWorse
	}
	if p.MaxBackoff == 0 {
		p.MaxBackoff = defaultMaxBackoff
	}
	return p
}

func (p Policy) validate(problems *fault.Problems) {
	if p.Per < 0 || p.MaxFailures < 0 || p.MaxBackoff < 0 {
		problems.Addf("Policy: Per, MaxFailures and MaxBackoff must not be negative")
	}
	if !(p.Worse >= 1) || math.IsInf(p.Worse, 0) {
		problems.Addf("Policy: Worse is %g: want a factor of 1 or more", p.Worse)
	}
}

// ledger is what the policy counts. It is part of the loop's stored memory.
type ledger struct {
	Next      int64                  `json:"next"`      // Number of the next retraining
	Begun     int                    `json:"begun"`     // retrainings against a champion
	First     time.Time              `json:"first"`     // when the fit of the first champion began; zero before
	LastStart time.Time              `json:"last"`      // of any retraining, the first fit included
	LastEnd   time.Time              `json:"last_end"`  // of the last one against a champion
	Failures  int                    `json:"failures"`  // failed or rolled back in a row
	Fruitless int                    `json:"fruitless"` // without a new champion in a row
	Obstacles map[string]obstacle    `json:"obstacles"` // of the fruitless ones in a row, by what stood in the way
	Forgiven  int64                  `json:"forgiven"`  // ResetFailures was called after this Number; -1: never
	Answered  map[string]alertAnswer `json:"answered"`  // firing alerts that a retraining has answered, by ID
}

// alertAnswer says how bad an alert was when a retraining answered it.
type alertAnswer struct {
	Worst float64   `json:"worst"`
	At    time.Time `json:"at"`    // when the last one began
	Times int       `json:"times"` // retrainings that answered it
}

// begin notes that a retraining has begun.
func (g *ledger) begin(now time.Time, r Retraining) {
	g.Next = r.Number + 1
	g.LastStart = now
	if r.Champion > 0 {
		g.Begun++
	}
}

// end notes how a retraining ended.
func (g *ledger) end(now time.Time, r Retraining) {
	if r.Stage == Promoted && g.First.IsZero() {
		g.First = r.StartedAt
	}
	if r.Champion > 0 {
		g.LastEnd = now
	}
	switch {
	case r.Stage == Failed || r.Stage == RolledBack:
		g.Failures++
	case r.Stage == Promoted || r.Stage == Recommended:
		g.Failures = 0
	}
	if !r.Stage.fruitless() {
		g.Fruitless, g.Obstacles = 0, nil
		return
	}
	g.Fruitless++
	if g.Obstacles == nil {
		g.Obstacles = make(map[string]obstacle)
	}
	name, o := obstacleOf(r)
	o.Times, o.Told = g.Obstacles[name].Times+1, g.Obstacles[name].Told
	g.Obstacles[name] = o
}

// forgive makes the failures so far count no more.
func (g *ledger) forgive() {
	g.Failures, g.Fruitless, g.Obstacles = 0, 0, nil
	g.Forgiven = g.Next - 1
}

// rewind moves what lies after now to now, when the clock has gone back.
func (g *ledger) rewind(now time.Time) {
	rewindTimes(now, &g.First, &g.LastStart, &g.LastEnd)
	for id, a := range g.Answered {
		if a.At.After(now) {
			a.At = now
			g.Answered[id] = a
		}
	}
}

// stopped reports whether failures in a row have stopped the loop.
func (p Policy) stopped(g ledger) bool { return g.Failures >= p.MaxFailures }

// backoff is how long after a fruitless retraining the next one waits.
func (p Policy) backoff(fruitless int) time.Duration {
	if fruitless == 0 {
		return 0
	}
	wait := max(p.Cooldown, time.Hour)
	for range fruitless - 1 {
		if wait > p.MaxBackoff/2 { // doubled, a huge one would overflow
			wait = p.MaxBackoff
			break
		}
		wait *= 2
	}
	return min(wait, max(p.MaxBackoff, p.Cooldown))
}

// permits reports whether a retraining may begin now, whatever its cause, and
// if not, why not.
func (p Policy) permits(now time.Time, g ledger) (reason string, ok bool) {
	if p.stopped(g) {
		return fmt.Sprintf("%d retrainings in a row failed: look at Retrainings, then call ResetFailures", g.Failures), false
	}
	if g.Begun == 0 {
		return "", true
	}
	if since := now.Sub(g.LastStart); since < p.Cooldown {
		return fmt.Sprintf("cooling down: the last one began %s ago, Policy.Cooldown is %s", since, p.Cooldown), false
	}
	if p.Per > 0 && !g.First.IsZero() && g.Begun >= 1+int(now.Sub(g.First)/p.Per) {
		return fmt.Sprintf("the budget of one every %s is used up: %d have begun", p.Per, g.Begun), false
	}
	return "", true
}

// due reports whether a cause may start a retraining, or has to wait because
// the latest ones came to nothing, and then why. What a person or a schedule
// wants does not wait. worst is how bad the alert of the cause is, where it has one.
func (p Policy) due(now time.Time, g ledger, c Cause, worst float64) (reason string, ok bool) {
	if c.Trigger == triggerManual || c.Trigger == triggerSchedule {
		return "", true
	}
	since, times := g.LastEnd, g.Fruitless
	if a, answered := g.Answered[c.AlertID]; answered {
		if worst >= p.Worse*a.Worst {
			return "", true
		}
		since, times = a.At, a.Times
	}
	until := since.Add(p.backoff(times))
	if now.Before(until) {
		return fmt.Sprintf("backing off until %s: %d in a row came to nothing, or left the alert firing", until.Format(time.RFC3339), times), false
	}
	return "", true
}

// answer notes that a retraining has begun, whatever its cause: it answers every
// alert that is firing; worst is how bad each is. Those that are over are
// forgotten.
func (g *ledger) answer(now time.Time, worst map[string]float64) {
	kept := make(map[string]alertAnswer, len(worst))
	for id, bad := range worst {
		kept[id] = alertAnswer{Worst: bad, At: now, Times: g.Answered[id].Times + 1}
	}
	g.Answered = kept
}
