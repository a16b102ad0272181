package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// memoryFormat is the version of memory's JSON.
const memoryFormat = 1

// memory is the loop's own part of State: all that a step needs of the past, so
// that it reads no history.
type memory struct {
	Format     int               `json:"format"`
	Attempt    *attempt          `json:"attempt,omitempty"` // the retraining under way, and what drives it
	Pending    *transition       `json:"pending,omitempty"` // decided, perhaps not carried out in full
	Ledger     ledger            `json:"ledger"`            // what the policy counts
	Manual     *request          `json:"manual,omitempty"`  // Retrain's
	Paused     *pause            `json:"paused,omitempty"`  // Pause's
	Followed   int64             `json:"followed"`          // the version that the alias named at the last step
	DecidedAt  time.Time         `json:"decided_at"`        // of the last transition: a step makes one
	Unfinished bool              `json:"unfinished"`        // a part of the last step failed: the same step may be made again
	Told       map[string]int64  `json:"told,omitempty"`    // what has been reported once, by topic, with the number of times
	Waits      map[string]string `json:"waits,omitempty"`   // what is waited for, by topic
	Labels     labelCursor       `json:"labels"`            // where Config.Labels has been read to
	AlertSeq   int64             `json:"alert_seq"`         // the last change of an alert that was reported
	FirstSeen  time.Time         `json:"first_seen"`        // of a prediction; zero before
	Config     string            `json:"config,omitempty"`  // digest of the configuration of the last process that led
}

// request is a person's wish for a retraining. It is fulfilled once there is
// one with a Number above After.
type request struct {
	Reason string `json:"reason"`
	After  int64  `json:"after"`
}

// pause is a person's wish that nothing be started or moved.
type pause struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// attempt is the retraining under way with what the machine needs to drive it.
type attempt struct {
	Retraining    Retraining `json:"retraining"`
	FitStartedAt  time.Time  `json:"fit_started_at"` // zero: the fit has not been begun
	FitBegan      time.Time  `json:"fit_began"`      // when the present try began, by the clock of the process that began it
	FitTries      int        `json:"fit_tries"`      // of the fit that failed for want of something that may come back
	FitAfter      time.Time  `json:"fit_after"`      // no try before it
	FromHistory   bool       `json:"from_history"`   // fits FitFirst's rows
	PredictionSeq int64      `json:"prediction_seq"` // the last prediction logged when the present stage began
	LabelSeq      int64      `json:"label_seq"`      // the last label known by then
	Looks         int        `json:"looks"`          // at the shadow's labels so far
	Planned       int        `json:"planned"`        // labelled rows for the first look at the shadow; 0: not planned yet
	RolloutSeq    int64      `json:"rollout_seq"`    // the last prediction logged when the canary began
	RolloutLabel  int64      `json:"rollout_label"`  // and the last label
	RolloutSince  time.Time  `json:"rollout_since"`  // when the canary began
}

// readState reads the stored state. When another process has stepped since
// this one, what the watcher holds is out of date.
func (l *Loop) readState(ctx context.Context) error {
	stored, err := l.config.Stores.Retrain.State(ctx, l.config.Model)
	fresh := memory{Format: memoryFormat, Ledger: ledger{Next: 0, Forgiven: -1}}
	switch {
	case errors.Is(err, ErrNotFound):
		stored = State{Model: l.config.Model}
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(stored.Data, &fresh); err != nil {
			return fault.Errorf(fault.Corrupt, "state of %s: %w", l.config.Model, err)
		}
		if fresh.Format > memoryFormat {
			return fault.Errorf(fault.Unsupported, "the state of %s was written by a later release: run that one, or open another database", l.config.Model)
		}
	}
	if stored.Rev != l.state.Rev {
		l.watcher = nil
	}
	l.state, l.memory = stored, fresh
	return nil
}

// errOvertaken is what a step ends with whose state another process has changed,
// at a person's wish or as the new leader: all that it would store is refused.
var errOvertaken = errors.New("another process has written the state")

// putState stores the memory. Errors: Conflict when another process has stored
// its own since this one read it.
func (l *Loop) putState(ctx context.Context) error {
	data, err := json.Marshal(l.memory)
	if err != nil {
		return err
	}
	next := l.state
	next.Rev, next.Token, next.Data = next.Rev+1, l.token, data
	err = l.config.Stores.Retrain.PutState(ctx, next)
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: %w", errOvertaken, err)
	}
	if err == nil {
		l.state = next
	}
	return err
}

// once reports whether the topic has not been told in this wording yet, and
// notes that it has. A topic that is over is forgotten by forget.
func (m *memory) once(topic string) bool {
	if m.Told[topic] > 0 {
		m.Told[topic]++
		return false
	}
	if m.Told == nil {
		m.Told = make(map[string]int64)
	}
	m.Told[topic] = 1
	return true
}

func (m *memory) forget(topic string) bool {
	_, told := m.Told[topic]
	delete(m.Told, topic)
	return told
}

// tell reports an event once a topic, until the topic is forgotten.
func (l *Loop) tell(ctx context.Context, now time.Time, topic, kind, format string, args ...any) error {
	if !l.memory.once(topic) {
		return nil
	}
	err := l.report(ctx, Event{Time: now, Kind: kind, Key: fmt.Sprintf("%s/%d", topic, now.UnixMilli()), Text: fmt.Sprintf(format, args...)})
	if err != nil {
		l.memory.forget(topic) // it is not told: the next step tells it
	}
	return err
}

// wait notes what is waited for, as Status tells it; "" ends the wait.
func (m *memory) wait(topic, text string) {
	if text == "" {
		delete(m.Waits, topic)
		return
	}
	if m.Waits == nil {
		m.Waits = make(map[string]string)
	}
	m.Waits[topic] = text
}
