package retrain

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/judge"
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

// The stages. All but the first three are final.
const (
	Fitting      Stage = "fitting" // validate, train, evaluate, compare, register
	Shadowing    Stage = "shadow"
	Canarying    Stage = "canary"
	Promoted     Stage = "promoted"
	Recommended  Stage = "recommended"  // it passed everything; Config.Mode leaves the promotion to a person
	Rejected     Stage = "rejected"     // a gate or the shadow comparison said no
	Inconclusive Stage = "inconclusive" // the data could not tell; the champion stays
	RolledBack   Stage = "rolled_back"  // the canary did harm, or a person took it back
	Failed       Stage = "failed"       // the fit failed
	Superseded   Stage = "superseded"   // the champion that it was compared with was replaced by hand
)

// Final reports whether nothing follows.
func (s Stage) Final() bool { return s != Fitting && s != Shadowing && s != Canarying }

// fruitless reports whether a final stage left the champion in place because
// the challenger did not do.
func (s Stage) fruitless() bool {
	return s == Rejected || s == Inconclusive || s == RolledBack || s == Failed
}

// Cause is why a retraining was wanted.
type Cause struct {
	Trigger string `json:"trigger"` // drift, decay, schedule, manual, first, or the service's own
	Detail  string `json:"detail"`  // for a reader: the alert's columns, the metric's fall
	AlertID string `json:"alert_id,omitempty"`
}

// Outcome is what a verdict comes to.
type Outcome = judge.Outcome

// The outcomes. Inconclusive is no pass: what it leads to is configured.
const (
	Pass         = judge.Pass
	Fail         = judge.Fail
	Undetermined = judge.Inconclusive
)

// Verdict is what a gate, the shadow or the canary found.
type Verdict struct {
	Gate    string  `json:"gate"`
	Outcome Outcome `json:"outcome"`
	Metric  string  `json:"metric,omitempty"`
	Diff    float64 `json:"diff"` // challenger minus champion
	Low     float64 `json:"low"`  // interval of Diff
	High    float64 `json:"high"`
	N       int     `json:"n"`      // rows compared
	Needed  int     `json:"needed"` // rows that would tell, where the verdict is inconclusive for want of them; 0: unknown
	Reason  string  `json:"reason"`
}

// Retraining is the record of one attempt to replace the champion.
type Retraining struct {
	ID         string // "<model>/<number>"
	Model      string
	Number     int64 // 0, 1, 2 … within the model
	Causes     []Cause
	Stage      Stage
	Weight     int   // which of Rollout.Weights the canary has, counted from 0
	Champion   int64 // the version it would replace; 0: a first fit
	Version    int64 // registered challenger; 0 before
	RunID      string
	Verdicts   []Verdict
	Metrics    map[string]float64 // the challenger's, on the held-out rows
	Errors     drift.Baseline     // law of its errors there: what its monitor takes for usual
	FittedFrom time.Time          // time of the first row that it was fitted on
	FittedTo   time.Time          // and of the last
	StartedAt  time.Time
	StageSince time.Time // when the present stage began
	EndedAt    time.Time // zero until final
	Reason     string    // why it is in its stage
}

// State is where a model's loop stands between steps.
type State struct {
	Model     string
	Rev       int64     // rises by one with each change; compare-and-set
	SteppedAt time.Time // the last completed Step
	Data      []byte    // the loop's own, JSON
}

// Event is something that happened, for people and progress displays.
type Event struct {
	Seq   int64
	Model string
	Time  time.Time
	Kind  string // one of the Event constants, or the Stage that a retraining entered
	Text  string // for a reader
	Key   string // idempotency: one event a key
}

// RetrainingQuery selects a model's retrainings, by Number.
type RetrainingQuery struct {
	Model   string
	Version int64 // only those that made this version; 0: all
	Last    int   // only so many, the latest; 0: all
}

// EventQuery selects a model's events, by Seq.
type EventQuery struct {
	Model string
	After int64 // only those with a Seq above it
	Limit int   // 0: all
}

// Store keeps the loop's retrainings, events and state. Stores are safe for
// concurrent use. Embed UnimplementedStore, so that a method can be added
// without breaking you.
type Store interface {
	// PutRetraining stores r, replacing the one of its ID.
	PutRetraining(ctx context.Context, r Retraining) error
	// Retrainings returns those that the query selects, by Number.
	Retrainings(ctx context.Context, q RetrainingQuery) ([]Retraining, error)
	// AppendEvent stores e; one whose Key is stored is left as it is.
	AppendEvent(ctx context.Context, e Event) error
	// Events returns those that the query selects, by Seq, which is never reused.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// PutState stores the loop's state if the stored one's Rev is s.Rev-1 (with
	// s.Rev 1: if none is stored). Errors: Conflict.
	PutState(ctx context.Context, s State) error
	// State returns the stored state. Errors: NotFound.
	State(ctx context.Context, model string) (State, error)
	// PutCursor stores how far a sender of the model's alerts has come, replacing
	// what was stored before. Cursor returns it. Errors: NotFound.
	PutCursor(ctx context.Context, model, sender string, data []byte) error
	Cursor(ctx context.Context, model, sender string) ([]byte, error)
	// Close releases what the store opened itself.
	Close() error

	mustEmbedUnimplementedStore()
}
