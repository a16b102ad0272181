package retrain

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrNotFound      = fault.NotFound
	ErrAlreadyExists = fault.AlreadyExists
	ErrConflict      = fault.Conflict
	ErrInvalid       = fault.Invalid
	ErrUnsupported   = fault.Unsupported
	ErrUnavailable   = fault.Unavailable
	ErrClosed        = fault.Closed
	ErrCorrupt       = fault.Corrupt
)

// Stage is how far a retraining has come.
type Stage string

// The stages. Promoted, Rejected, RolledBack and Failed are final.
const (
	Fitting    Stage = "fitting" // validate, train, evaluate, compare, register
	Shadowing  Stage = "shadow"
	Canarying  Stage = "canary"
	Promoted   Stage = "promoted"
	Rejected   Stage = "rejected"    // a gate or the shadow comparison said no
	RolledBack Stage = "rolled_back" // the canary did harm
	Failed     Stage = "failed"      // a step kept failing
)

// Final reports whether nothing follows.
func (s Stage) Final() bool {
	return s == Promoted || s == Rejected || s == RolledBack || s == Failed
}

// Cause is why a retraining was wanted.
type Cause struct {
	Trigger string `json:"trigger"` // drift, decay, schedule, manual, first, or the service's own
	Detail  string `json:"detail"`  // for a reader: the alert's columns, the metric's fall
	AlertID string `json:"alert_id,omitempty"`
}

// Verdict is what a gate, the shadow or the canary found.
type Verdict struct {
	Gate   string  `json:"gate"`
	Pass   bool    `json:"pass"`
	Metric string  `json:"metric,omitempty"`
	Diff   float64 `json:"diff"` // challenger minus champion on the same rows
	Low    float64 `json:"low"`  // interval of Diff
	High   float64 `json:"high"`
	N      int     `json:"n"` // rows compared
	Reason string  `json:"reason"`
}

// Retraining is one attempt to replace the champion.
type Retraining struct {
	ID            string // "<model>/<number>"; the id of its workflow too
	Model         string
	Number        int64 // 0, 1, 2 … within the model; 0 is the first fit
	Causes        []Cause
	Stage         Stage
	Step          int   // which canary share
	Champion      int64 // the version it would replace; 0: a first fit
	Version       int64 // registered challenger; 0 before
	RunID         string
	Verdicts      []Verdict
	Holdout       map[string]float64 // the challenger's metrics on the held-out rows
	Errors        []float64          // its errors there, row by row, the last 10,000: 1 where it was wrong
	StartedAt     time.Time
	StageSince    time.Time // when the present stage began
	LabelSeq      int64     // the last label known when the present stage began
	PredictionSeq int64     // the last prediction logged by then
	EndedAt       time.Time // zero until final
	Error         string
}

// State is where a model's loop stands between steps.
type State struct {
	Model     string
	SteppedAt time.Time // the last completed Step
	Data      []byte    // the loop's own, JSON
}

// The kinds of event besides the stages. The kind of a verdict on a shadow or a
// canary is that of the stage's beginning too.
const (
	EventAlertFired    = "alert.fired"
	EventAlertResolved = "alert.resolved"
	EventStarted       = "retrain.started"
	EventSuppressed    = "trigger.suppressed" // the policy holds a wanted retraining back
	EventStopped       = "stopped"            // MaxFailures is reached: see Loop.Resume
	EventGate          = "gate"               // a gate's verdict
	EventShadow        = string(Shadowing)
	EventCanary        = string(Canarying)
)

// Event is something that happened in a step, for people and progress displays.
type Event struct {
	Seq   int64
	Model string
	Time  time.Time
	Kind  string // one of the Event constants, or the Stage that a retraining entered
	Text  string // for a reader
	Key   string // idempotency: one event a key
}

// Store keeps the loop's retrainings, events and state. Stores are safe for
// concurrent use. Embed UnimplementedStore, so that a method can be added
// without breaking you.
type Store interface {
	// PutRetraining stores r, replacing the one of its ID.
	PutRetraining(ctx context.Context, r Retraining) error
	// Retrainings returns the model's, by Number.
	Retrainings(ctx context.Context, model string) ([]Retraining, error)
	// AppendEvent stores e; one whose Key is stored is left as it is.
	AppendEvent(ctx context.Context, e Event) error
	// Events returns the model's events with Seq above after, in order.
	Events(ctx context.Context, model string, after int64) ([]Event, error)
	// PutState stores the loop's state. State returns it. Errors: NotFound.
	PutState(ctx context.Context, s State) error
	State(ctx context.Context, model string) (State, error)
	// Close releases what the store opened itself.
	Close() error

	mustEmbedUnimplementedStore()
}
