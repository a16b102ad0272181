package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
)

// loopMemory is the loop's own part of State.
type loopMemory struct {
	ResumedAt  int64       `json:"resumed_at"`        // Resume forgave the failures up to this Number; -1: none yet
	Suppressed string      `json:"suppressed"`        // the suppression reported last, so that it is logged once
	Manual     *request    `json:"manual,omitempty"`  // Retrain's
	Pending    *transition `json:"pending,omitempty"` // decided, perhaps not carried out in full
}

// request is a person's wish for a retraining. It is fulfilled once there is
// one with a Number above After.
type request struct {
	Reason string `json:"reason"`
	After  int64  `json:"after"`
}

// readState reads the stored state. When another process has stepped since
// this one, what the watcher holds is out of date.
func (l *Loop) readState(ctx context.Context) error {
	stored, err := l.config.Stores.Retrain.State(ctx, l.config.Model)
	memory := loopMemory{ResumedAt: -1}
	switch {
	case errors.Is(err, ErrNotFound):
		stored = State{Model: l.config.Model}
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(stored.Data, &memory); err != nil {
			return fault.Errorf(fault.Corrupt, "state of %s: %w", l.config.Model, err)
		}
	}
	if !stored.SteppedAt.Equal(l.state.SteppedAt) {
		l.watcher = nil
	}
	l.state, l.memory = stored, memory
	return nil
}

func (l *Loop) putState(ctx context.Context) error {
	data, err := json.Marshal(l.memory)
	if err != nil {
		return err
	}
	l.state.Data = data
	return l.config.Stores.Retrain.PutState(ctx, l.state)
}

// Retrain asks for a retraining at the next step that the policy permits. The
// request is durable. It waits for a step that is under way.
func (l *Loop) Retrain(ctx context.Context, reason string) error {
	return l.remember(ctx, "ask for a retraining of", func(last int64) {
		l.memory.Manual = &request{Reason: reason, After: last}
	})
}

// Resume forgives the failures so far, after which a loop that MaxFailures had
// stopped starts retrainings again. It waits for a step that is under way.
func (l *Loop) Resume(ctx context.Context) error {
	return l.remember(ctx, "resume", func(last int64) { l.memory.ResumedAt = last })
}

// remember changes the stored memory; change is told the last retraining's
// Number, -1 when there is none.
func (l *Loop) remember(ctx context.Context, op string, change func(last int64)) error {
	return l.alone(ctx, op, func(ctx context.Context) error {
		if err := l.open(ctx); err != nil {
			return err
		}
		history, err := l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
		if err != nil {
			return fmt.Errorf("retrainings: %w", err)
		}
		last := int64(-1)
		if n := len(history); n > 0 {
			last = history[n-1].Number
		}
		change(last)
		return l.putState(ctx)
	})
}
