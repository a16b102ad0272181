package retrain

import (
	"context"
	"fmt"
)

// The kinds of event besides the stages. The kind of a verdict on a shadow or a
// canary is that of the stage's beginning too.
const (
	EventAlertFired    = "alert.fired"
	EventAlertResolved = "alert.resolved"
	EventStarted       = "retrain.started"
	EventWaiting       = "waiting"            // something is wanted that cannot be begun or judged yet
	EventSuppressed    = "trigger.suppressed" // the policy holds a wanted retraining back
	EventStopped       = "stopped"            // MaxFailures is reached: see Loop.ResetFailures
	EventGate          = "gate"               // a gate's verdict
	EventShadow        = string(Shadowing)
	EventCanary        = string(Canarying)
	EventUnjudged      = "unjudged"     // a stage ended without enough labels to judge it
	EventUnreachable   = "unreachable"  // a setting that the observed traffic cannot meet
	EventStepFailing   = "step.failing" // part of a step fails: once a cause, until it works again
	EventStepRecovered = "step.recovered"
	EventClock         = "clock"         // the time went back, or no step was made for long
	EventMonitor       = "monitor"       // what the monitor cannot see, or learns first
	EventLabels        = "labels"        // labels that do not come, or that the model cannot answer
	EventLogFull       = "log.full"      // the prediction log nears its limit
	EventHarm          = "harm"          // a canary does harm while the loop is paused
	EventPaused        = "paused"        // see Loop.Pause
	EventUnpaused      = "unpaused"      // see Loop.Unpause
	EventForgiven      = "forgiven"      // see Loop.ResetFailures
	EventByHand        = "by_hand"       // a person moved the champion
	EventCollected     = "collected"     // what Retention.Collect removed, or why it could not
	EventUndelivered   = "alert.gave_up" // a sender never took a message
	EventDeposed       = "deposed"       // a process lost the lead in the middle of a step, and serves on
	EventPointsLost    = "points.lost"   // a fit's run has not all that was logged to it
	EventConfig        = "config"        // the loop is led under another configuration than before
)

// report logs and stores an event. Events are stored once a Key, so that a
// step may be run again.
func (l *Loop) report(ctx context.Context, e Event) error {
	e.Model = l.config.Model
	l.config.Logger.InfoContext(ctx, e.Text, "model", e.Model, "event", e.Kind)
	return l.config.Stores.Retrain.AppendEvent(ctx, e)
}

// outcomeWords say what a gate did.
var outcomeWords = map[Outcome]string{Pass: "passes", Fail: "fails", Undetermined: "is inconclusive"}

// verdictEvent is the event of a judgement.
func verdictEvent(kind, key string, v Verdict) Event {
	return Event{Kind: kind, Key: key, Text: fmt.Sprintf("%s %s: %s", v.Gate, outcomeWords[v.Outcome], v.Reason)}
}
